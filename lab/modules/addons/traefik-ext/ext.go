// Package ext stands for a module that traefik embeds into two of its types and that is not published: places for fields of other editions,
// of which there are none here.
package ext

// HTTP adds nothing to the HTTP configuration.
type HTTP struct{}

// Router adds nothing to a router.
type Router struct{}
