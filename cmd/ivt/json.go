package main

import "encoding/json"

// document prints v as the one JSON document of a command.
func (a *app) document(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	if a.out.Terminal {
		e.SetIndent("", "  ")
	}
	return e.Encode(v)
}

// line prints v on one line, for commands that print many.
func (a *app) line(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
