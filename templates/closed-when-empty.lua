-- Refuses connections while there is nobody to hand them to. Who is refused tries again at once; who is accepted and cut off
-- waits for seconds (client-go: an EOF is retried for 10 s).
local marker = os.getenv("FRONT_MARKER")
local startsOpen = os.getenv("FRONT_STARTS") ~= "closed"

-- Which backends a frontend may lead to, as haproxy.cfg has it; what is not in it does not count.
local frontends = {
  api = {"slots", "apiservers", "lastresort"},
  ["local"] = {"slots"},
}

-- Whether one of its servers is ready; nil when not all have been asked yet. A server that has failed once, and not as often as it takes to be
-- down, is.
local function isReady(backends)
  local unknown = false
  for _, name in ipairs(backends) do
    local backend = core.backends[name]
    for _, server in pairs(backend and backend.servers or {}) do
      local stats = server:get_stats()
      local status, check = stats["status"] or "", stats["check_status"] or ""
      if check:match("INI") then
        if not status:match("^MAINT") then unknown = true end
      elseif status:match("^UP") then
        return true
      end
    end
  end
  if unknown then return nil end
  return false
end

local function mark(ready)
  if not ready then os.remove(marker) return end
  local file = io.open(marker, "w")
  if file then file:close() end
end

core.register_task(function()
  local open, marked = {}, nil
  for name in pairs(frontends) do
    open[name] = startsOpen
    if core.frontends[name] and not startsOpen then core.proxies[name]:pause() end
  end
  while true do
    for name, backends in pairs(frontends) do
      local ready = nil
      if core.frontends[name] then ready = isReady(backends) end
      if ready ~= nil and ready ~= open[name] then
        if ready then core.proxies[name]:resume() else core.proxies[name]:pause() end
        open[name] = ready
      end
      if name == "api" and ready ~= nil and ready ~= marked then
        mark(ready)
        marked = ready
      end
    end
    core.msleep(100)
  end
end)
