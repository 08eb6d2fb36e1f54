// Package acceptance drives the running binary the way its users do: with the
// official client of the API it implements, over HTTP, in a process of its own.
// Every request that is meant to be valid and every answer is held against the
// official OpenAPI description that comes with that client. The official clients
// for JavaScript of two releases, in npm/, make the same way under Node.
//
// It is a module of its own so that the client's dependencies never become the
// server's. Run it with `go test` in this directory; the run ends with the table
// of what it covered.
package acceptance
