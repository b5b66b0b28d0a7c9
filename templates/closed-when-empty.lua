-- Refuses connections while no API server is ready. Who is refused tries again at once; who is accepted and cut off
-- waits for seconds (client-go: an EOF is retried for 10 s).
local marker = os.getenv("FRONT_MARKER")
local open = os.getenv("FRONT_STARTS") ~= "closed"

local function lookAtServers()
  local unknown = false
  for _, server in pairs(core.backends["apiservers"].servers) do
    local stats = server:get_stats()
    local status, check = stats["status"] or "", stats["check_status"] or ""
    if status:match("^UP") and check:match("L7OK") then return true end
    if not status:match("^MAINT") and check:match("INI") then unknown = true end
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
  if not open then core.proxies["api"]:pause() end
  local marked = nil
  while true do
    local ready = lookAtServers()
    if ready ~= nil and ready ~= open then
      if ready then core.proxies["api"]:resume() else core.proxies["api"]:pause() end
      open = ready
    end
    if ready ~= nil and ready ~= marked then
      mark(ready)
      marked = ready
    end
    core.msleep(100)
  end
end)
