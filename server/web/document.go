package web

import _ "embed"

// document describes what is served, as OpenAPI 3.1: server/web/openapi makes it of the contract.
//
//go:embed openapi.json
var document []byte
