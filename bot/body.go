package bot

import (
	"errors"
	"io"
	"net"
	"net/http"
)

// Body reads what a chat's service sent, at most so many bytes of it. Where it cannot, it has answered, and is false.
func Body(w http.ResponseWriter, r *http.Request, most int64) ([]byte, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, most))
	if err == nil {
		return body, true
	}
	status := http.StatusBadRequest
	if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
		status = http.StatusRequestEntityTooLarge
	}
	http.Error(w, http.StatusText(status), status)
	return nil, false
}

// RemoteAddress is where a call came from, as far as this process can know: the last proxy, where there is one.
func RemoteAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
