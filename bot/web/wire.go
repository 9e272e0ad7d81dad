package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
)

// maxBody bounds what a page may send; the longest form holds a few thousand characters.
const maxBody = 64 << 10

// problem is the body of every answer that is a no.
type problem struct {
	Error string `json:"error"`
}

// Fail answers with a sentence for the person at the page.
func Fail(w http.ResponseWriter, status int, text string) {
	Reply(w, status, problem{Error: text})
}

// Reply writes v as JSON. What cannot be written any more has nobody left to read it.
func Reply(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"Something went wrong."}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// Read decodes the JSON body of a request, strictly, and answers itself where it cannot: then it gives false.
func Read(w http.ResponseWriter, r *http.Request, v any) bool {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		Fail(w, http.StatusUnsupportedMediaType, "Send JSON.")
		return false
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return true
		}
		err = errors.Join(errors.New("more than one value"), err)
	}
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		Fail(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("That is too long: at most %d KiB.", maxBody>>10))
		return false
	}
	Fail(w, http.StatusBadRequest, "That is not what this page sends: "+err.Error())
	return false
}
