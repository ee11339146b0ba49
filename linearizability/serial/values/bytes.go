package values

import (
	"encoding/json"

	"statehouse.dev/statehouse/history"
)

// AsObject is bytes as they are shown to readers who know none; what is no bytes is shown as it is.
func AsObject(value string) string {
	contentType, data, is := history.AsBytes(value)
	if !is {
		return value
	}
	object := struct {
		Data []byte `json:"$bytes"`
		Type string `json:"$content_type"`
	}{data, contentType}
	if object.Data == nil {
		object.Data = []byte{}
	}
	text, err := json.Marshal(object)
	if err != nil {
		return value
	}
	return history.Normal(string(text))
}
