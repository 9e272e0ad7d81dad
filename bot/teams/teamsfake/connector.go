package teamsfake

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// refusal is an error of the Bot Connector.
type refusal struct {
	status        int
	code, message string
}

func (r *refusal) Error() string { return fmt.Sprintf("%d %s: %s", r.status, r.code, r.message) }

// refuse answers an error in the form of the connector, or in that of the chat service behind it.
func refuse(w http.ResponseWriter, r *refusal) {
	if r.code == "MessageWritesBlocked" {
		inner, _ := json.Marshal(object{"subCode": r.code, "details": r.message, "errorCode": nil}) // texts always encode
		reply(w, r.status, object{"errorCode": 209, "message": string(inner)})
		return
	}
	reply(w, r.status, object{"error": object{"code": r.code, "message": r.message}})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // whoever hung up needs no answer
}

// request is a call being answered.
type request struct {
	*http.Request
	body     object
	size     int // in bytes of UTF-16
	targeted bool
}

// method is one method of the Bot Connector. It is called with the lock held and gives a status and an answer, or none.
type method func(s *Server, r request) (int, any, error)

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, m := range map[string]struct {
		op string
		do method
	}{
		"POST /teams/v3/conversations":                                        {"create", (*Server).create},
		"POST /teams/v3/conversations/{conversation}/activities":              {"post", (*Server).post},
		"POST /teams/v3/conversations/{conversation}/activities/{activity}":   {"post", (*Server).post},
		"PUT /teams/v3/conversations/{conversation}/activities/{activity}":    {"update", (*Server).update},
		"DELETE /teams/v3/conversations/{conversation}/activities/{activity}": {"delete", (*Server).remove},
		"GET /teams/v3/conversations/{conversation}/members":                  {"members", (*Server).membersOf},
		"GET /teams/v3/conversations/{conversation}/pagedmembers":             {"members", (*Server).pagedMembers},
		"GET /teams/v3/conversations/{conversation}/members/{member}":         {"member", (*Server).member},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, m.op, m.do) })
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.defect("there is no %s %s", r.Method, r.URL)
		w.WriteHeader(http.StatusNotFound)
	})
	return mux
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, op string, do method) {
	raw, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return
	}
	q := request{Request: r, size: utf16Bytes(raw), targeted: r.URL.Query().Get("isTargetedActivity") == "true"}
	unread := json.Unmarshal(raw, &q.body)
	s.mu.Lock()
	s.calls = append(s.calls, Call{Op: op, Path: strings.TrimPrefix(r.URL.EscapedPath(), "/teams/v3/"), Query: r.URL.Query(), Body: q.body})
	f := s.faults.take(op, "*")
	if f != nil && !f.Done {
		s.mu.Unlock()
		s.play(w, r, f)
		return
	}
	status, out, err := http.StatusBadRequest, any(nil), s.admit(q, raw)
	if err == nil && len(raw) > 0 && unread != nil {
		err = &refusal{http.StatusBadRequest, "BadSyntax", unread.Error()}
	}
	if err == nil {
		status, out, err = do(s, q)
	}
	s.mu.Unlock()
	no := (*refusal)(nil)
	switch {
	case f != nil:
		s.play(w, r, f)
	case errors.As(err, &no):
		refuse(w, no)
	case out == nil:
		w.WriteHeader(status)
	default:
		reply(w, status, out)
	}
}

// admit checks the token, and the form of a request against the description of the API. The lock is held.
func (s *Server) admit(r request, raw []byte) error {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok || !s.Identity.GoodBearer(token) {
		return &refusal{http.StatusUnauthorized, "Unauthorized", "Authorization has been denied for this request."}
	}
	if err := CheckRequest(r.Request, raw); err != nil {
		s.defect("%s %s: %v", r.Method, r.URL.Path, err)
		return &refusal{http.StatusBadRequest, "BadSyntax", err.Error()}
	}
	return nil
}

// utf16Bytes is how long a text is as Teams counts it.
func utf16Bytes(text []byte) int {
	n := 0
	for _, r := range string(text) {
		n += 2
		if r > 0xffff {
			n += 2
		}
	}
	return n
}

func bad(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, "BadArgument", fmt.Sprintf(format, args...)}
}

func forbidden(code, message string) error { return &refusal{http.StatusForbidden, code, message} }

func notFound(code, message string) error { return &refusal{http.StatusNotFound, code, message} }

// create begins a thread in a channel, or the chat with one person.
func (s *Server) create(r request) (int, any, error) {
	data := part(r.body, "channelData")
	for _, tenant := range []string{text(r.body, "tenantId"), text(part(data, "tenant"), "id")} {
		if tenant != "" && tenant != TenantID {
			return 0, nil, bad("The tenant %q is another.", tenant)
		}
	}
	if text(r.body, "tenantId") == "" && text(part(data, "tenant"), "id") == "" {
		return 0, nil, bad("The tenant is missing.")
	}
	if id := text(part(r.body, "bot"), "id"); id != "" && id != Bot {
		return 0, nil, forbidden("BotNotRegistered", "There is no bot "+id)
	}
	if r.targeted {
		return 0, nil, bad("A conversation cannot be begun with a targeted message.")
	}
	members := list(r.body, "members")
	channel := text(part(data, "channel"), "id")
	switch {
	case channel != "" && r.body["isGroup"] == true && len(members) == 0:
		return s.createThread(r, channel)
	case channel == "" && r.body["isGroup"] != true && len(members) == 1:
		member, _ := members[0].(object)
		return s.createChat(r, text(member, "id"))
	}
	return 0, nil, bad("Neither a channel nor one member.")
}

func (s *Server) createThread(r request, channel string) (int, any, error) {
	where, err := s.find(channel)
	if err == nil {
		err = where.writable()
	}
	if err != nil {
		return 0, nil, err
	}
	if r.body["activity"] == nil {
		return 0, nil, bad("The activity is missing.")
	}
	m, err := s.add(where, "", part(r.body, "activity"), r)
	if err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, object{"id": channel + threadMark + m.ID, "activityId": m.ID}, nil
}

func (s *Server) createChat(r request, member string) (int, any, error) {
	u := s.user(member)
	switch {
	case u == nil && strings.HasPrefix(member, "29:"):
		return 0, nil, &refusal{http.StatusBadRequest, "BadSyntax", "Failed to decrypt pairwise id."}
	case u == nil || u.Tenant != TenantID || u.removed || !u.Installed && !u.InTeam:
		return 0, nil, forbidden("ForbiddenOperationException", "The bot is not installed in the user's personal scope.")
	}
	u.open = true
	out := object{"id": u.chat}
	if r.body["activity"] != nil {
		m, err := s.add(place{user: u}, "", part(r.body, "activity"), r)
		if err != nil {
			return 0, nil, err
		}
		out["activityId"] = m.ID
	}
	return http.StatusCreated, out, nil
}

// roster are those in a conversation, in the order of their ids.
func (s *Server) roster(where place) []*User {
	var out []*User
	for _, u := range s.users {
		if u == where.user || where.channel != nil && u.InTeam {
			out = append(out, u)
		}
	}
	slices.SortFunc(out, func(a, b *User) int { return strings.Compare(a.id, b.id) })
	return out
}

// account is a person as the Bot Connector tells of them. The name of the object id's field differs by method.
func (u *User) account(field string) object {
	name := strings.ToLower(u.Name)
	return object{
		"id": u.id, "name": u.Name, field: u.ObjectID, "givenName": u.Name, "surname": "", "email": name + "@example.com",
		"userPrincipalName": name + "@example.com", "tenantId": u.Tenant, "userRole": "user",
	}
}

func (s *Server) membersOf(r request) (int, any, error) {
	where, err := s.find(r.PathValue("conversation"))
	if err == nil {
		err = where.writable()
	}
	if err != nil {
		return 0, nil, err
	}
	out := []any{}
	for _, u := range s.roster(where) {
		out = append(out, u.account("objectId"))
	}
	return http.StatusOK, out, nil
}

// pagedMembers gives members page by page; a page has 50 at least.
func (s *Server) pagedMembers(r request) (int, any, error) {
	_, out, err := s.membersOf(r)
	if err != nil {
		return 0, nil, err
	}
	all := out.([]any)
	size, from := 200, 0
	if asked := r.URL.Query().Get("pageSize"); asked != "" {
		n, err := strconv.Atoi(asked)
		if err != nil || n < 50 || n > 500 {
			return 0, nil, bad("A page has 50 to 500 members.")
		}
		size = n
	}
	if token := r.URL.Query().Get("continuationToken"); token != "" {
		if from, err = strconv.Atoi(token); err != nil || from > len(all) {
			return 0, nil, bad("The continuation token is not ours.")
		}
	}
	page := object{"members": all[from:min(from+size, len(all))]}
	if from+size < len(all) {
		page["continuationToken"] = strconv.Itoa(from + size)
	}
	return http.StatusOK, page, nil
}

func (s *Server) member(r request) (int, any, error) {
	where, err := s.find(r.PathValue("conversation"))
	if err == nil {
		err = where.writable()
	}
	if err != nil {
		return 0, nil, err
	}
	u := s.user(r.PathValue("member"))
	if u == nil || !slices.Contains(s.roster(where), u) {
		return 0, nil, notFound("MemberNotFoundInConversation", "The member is not in the conversation.")
	}
	return http.StatusOK, u.account("aadObjectId"), nil
}
