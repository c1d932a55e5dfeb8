package explain

import "encoding/json"

// document is an incident as JSON: flat, with the line's values in all texts.
type document struct {
	ID string `json:"id"`
	*plain
	Message  *struct{} `json:"message,omitempty"` // hides the incident's
	Function string    `json:"function,omitempty"`
	File     string    `json:"file,omitempty"`
	Since    string    `json:"since,omitempty"`
	Until    string    `json:"until,omitempty"`
	Meaning  string    `json:"meaning,omitempty"`
	Causes   []string  `json:"causes,omitempty"`
	Resolve  []Remedy  `json:"resolve,omitempty"`
	Finding  string    `json:"finding,omitempty"`
	Count    int64     `json:"count,omitempty"`
	Last     string    `json:"lastTime,omitempty"`
	Boot     int       `json:"boot,omitempty"`
}

// plain is an Incident without its MarshalJSON.
type plain Incident

func (in *Incident) document() document {
	m := in.Message
	return document{
		ID: m.ID, plain: (*plain)(in), Function: m.Function, File: m.File, Since: m.Since, Until: m.Until,
		Meaning: in.Meaning(), Causes: in.Causes(), Resolve: in.Resolve(), Finding: m.Finding,
	}
}

// MarshalJSON writes one flat object.
func (in *Incident) MarshalJSON() ([]byte, error) { return json.Marshal(in.document()) }

// MarshalJSON writes the incident's object with count and lastTime.
func (g *Group) MarshalJSON() ([]byte, error) {
	d := g.document()
	d.Count, d.Last, d.Boot = g.Count, g.Last, g.Boot
	return json.Marshal(d)
}
