package sambatest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// Front is another domain controller's face on the same domain: a proxy before Samba that speaks LDAPS. It can emulate
// memberships that expire, as Microsoft documents them, and misbehave. It is an emulation, and no proof of what Microsoft's
// controllers do.
type Front struct {
	// URL is where it speaks LDAPS, with a certificate from the server's authority.
	URL string

	s        *Server
	listener net.Listener
	wg       sync.WaitGroup

	mu       sync.Mutex
	conns    map[net.Conn]bool
	closed   bool
	expiring bool
	forget   bool             // memberships are kept, their ends are not
	lie      bool             // removals are confirmed and not done
	hang     bool             // nothing is answered
	silent   bool             // it does not offer to tell of changes
	ranges   int              // most values of an attribute in one answer; 0: all
	instead  int64            // result code of the next change, which is not done; 0: none
	before   func()           // called once, before the next change is passed on
	ends     map[string]*term // by group and member, in small letters
}

// term is the end of one membership.
type term struct {
	at    time.Time
	timer *time.Timer
}

// Front starts one; it ends with the test.
func (s *Server) Front(t testing.TB) *Front {
	t.Helper()
	certificate, key, err := s.key.issue("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	f := &Front{URL: "ldaps://" + l.Addr().String(), s: s, listener: l, conns: map[net.Conn]bool{}, ends: map[string]*term{}}
	f.wg.Go(f.accept)
	t.Cleanup(f.Close)
	return f
}

// Close cuts every connection and takes no more: the controller is down. Memberships that have an end keep it until the
// test is over, as another controller would see to that.
func (f *Front) Close() {
	f.mu.Lock()
	f.closed = true
	_ = f.listener.Close()
	for conn := range f.conns {
		_ = conn.Close()
	}
	for _, e := range f.ends {
		e.timer.Stop()
	}
	f.mu.Unlock()
	f.wg.Wait()
}

// ExpireMemberships emulates the Privileged Access Management Feature.
func (f *Front) ExpireMemberships() { f.set(func() { f.expiring = true }) }

// ForgetEnds has memberships be written without their ends.
func (f *Front) ForgetEnds() { f.set(func() { f.forget = true }) }

// Hang has nothing be answered.
func (f *Front) Hang() { f.set(func() { f.hang = true }) }

// Silent has it not offer to tell of changes.
func (f *Front) Silent() { f.set(func() { f.silent = true }) }

// Ranges has attributes be answered in parts of n values, as Active Directory does from 1,500 on.
func (f *Front) Ranges(n int) { f.set(func() { f.ranges = n }) }

// Lie has removals be confirmed and not done.
func (f *Front) Lie() { f.set(func() { f.lie = true }) }

// AnswerNext has the next change not be done, and answered with a result code.
func (f *Front) AnswerNext(code uint16) { f.set(func() { f.instead = int64(code) }) }

// BeforeNext has something happen before the next change is passed on, or answered.
func (f *Front) BeforeNext(do func()) { f.set(func() { f.before = do }) }

func (f *Front) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

func (f *Front) accept() {
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.wg.Go(func() { f.serve(conn) })
	}
}

// track notes a connection for Close; false where that has been.
func (f *Front) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		_ = conn.Close()
		return false
	}
	f.conns[conn] = true
	return true
}

func (f *Front) untrack(conn net.Conn) {
	f.set(func() { delete(f.conns, conn) })
	_ = conn.Close()
}

// serve passes messages on in both directions.
func (f *Front) serve(client net.Conn) {
	if !f.track(client) {
		return
	}
	defer f.untrack(client)
	server, err := tls.Dial("tcp", net.JoinHostPort(f.s.Host, "636"), f.s.TLSFor(f.s.Host))
	if err != nil || !f.track(server) {
		return
	}
	defer f.untrack(server)
	p := &passage{f: f, client: client, server: server, ttl: map[int64]string{}}
	var back sync.WaitGroup
	back.Go(func() {
		defer client.Close() //nolint:errcheck // the other direction learns of it
		p.answers()
	})
	p.requests()
	_ = server.Close()
	back.Wait()
}

// passage is one connection through the proxy.
type passage struct {
	f              *Front
	client, server net.Conn
	writing        sync.Mutex // of the client's side

	mu  sync.Mutex
	ttl map[int64]string // searches that asked for ends, and where: message → base
}

func (p *passage) requests() {
	for {
		message, err := ber.ReadPacket(p.client)
		if err != nil {
			return
		}
		code, answered := p.request(message)
		if answered && code < 0 {
			continue
		}
		if answered {
			if p.reply(message, code) != nil {
				return
			}
			continue
		}
		if _, err := p.server.Write(rebuilt(message).Bytes()); err != nil {
			return
		}
	}
}

// request looks at a message on its way to the server. answered: it is not passed on; with a negative code it gets no
// answer at all.
func (p *passage) request(message *ber.Packet) (code int64, answered bool) {
	p.f.mu.Lock()
	hang := p.f.hang
	p.f.mu.Unlock()
	if hang {
		return -1, true
	}
	op := message.Children[1]
	switch op.Tag {
	case ldap.ApplicationSearchRequest:
		if hasControl(message, "1.2.840.113556.1.4.2309") {
			p.mu.Lock()
			p.ttl[number(message.Children[0])] = text(op.Children[0])
			p.mu.Unlock()
		}
	case ldap.ApplicationModifyRequest:
		return p.f.change(op)
	}
	return 0, false
}

// change looks at a modification: misbehaves, or keeps the ends of memberships and passes the rest on.
func (f *Front) change(op *ber.Packet) (code int64, answered bool) {
	f.mu.Lock()
	before := f.before
	f.before = nil
	f.mu.Unlock()
	if before != nil {
		before()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.instead != 0 {
		code, f.instead = f.instead, 0
		return code, true
	}
	group := text(op.Children[0])
	for _, c := range op.Children[1].Children {
		removal, attribute, values := number(c.Children[0]) == int64(ldap.DeleteAttribute), text(c.Children[1].Children[0]), c.Children[1].Children[1]
		if !strings.EqualFold(attribute, "member") {
			continue
		}
		if removal && f.lie {
			return 0, true
		}
		for i, v := range values.Children {
			values.Children[i] = f.member(group, text(v), removal)
		}
	}
	return 0, false
}

// member takes the end off a membership, and keeps it.
func (f *Front) member(group, value string, removal bool) *ber.Packet {
	if rest, ok := strings.CutPrefix(value, "<TTL="); ok && f.expiring && !removal {
		seconds, dn, _ := strings.Cut(strings.TrimSuffix(rest, ">"), ",")
		left, err := strconv.Atoi(seconds)
		if err == nil && left > 0 {
			value = dn
			if !f.forget {
				f.keep(group, dn, time.Duration(left)*time.Second)
			}
		}
	} else if removal {
		f.drop(group, value)
	}
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, value, "")
}

func key(group, member string) string { return strings.ToLower(group + "\x00" + member) }

func (f *Front) drop(group, member string) {
	if e := f.ends[key(group, member)]; e != nil {
		e.timer.Stop()
		delete(f.ends, key(group, member))
	}
}

// keep ends a membership when its time is up.
func (f *Front) keep(group, member string, left time.Duration) {
	f.drop(group, member)
	e := &term{at: time.Now().Add(left)}
	e.timer = time.AfterFunc(left, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.closed || f.ends[key(group, member)] != e {
			return
		}
		delete(f.ends, key(group, member))
		conn, err := f.s.Login(Administrator, Password)
		if err != nil {
			return
		}
		request := ldap.NewModifyRequest(group, nil)
		request.Delete("member", []string{member})
		_ = errors.Join(conn.Modify(request), conn.Close()) // a test sees whether it is gone
	})
	f.ends[key(group, member)] = e
}

// End is when a membership ends by itself; zero where it does not.
func (f *Front) End(group, member string) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if e := f.ends[key(group, member)]; e != nil {
		return e.at
	}
	return time.Time{}
}

// EndIn has the end of a membership come this soon.
func (f *Front) EndIn(group, member string, left time.Duration) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ends[key(group, member)] == nil {
		return fmt.Errorf("%s is not in %s for a time", member, group)
	}
	f.keep(group, member, left)
	return nil
}

// reply answers a modification in the server's place.
func (p *passage) reply(message *ber.Packet, code int64) error {
	answer := ber.NewSequence("")
	answer.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, number(message.Children[0]), ""))
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, ldap.ApplicationModifyResponse, nil, "")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, code, ""))
	for range 2 {
		op.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, "", ""))
	}
	answer.AppendChild(op)
	p.writing.Lock()
	defer p.writing.Unlock()
	_, err := p.client.Write(answer.Bytes())
	return err
}

func (p *passage) answers() {
	for {
		message, err := ber.ReadPacket(p.server)
		if err != nil {
			return
		}
		if message.Children[1].Tag == ldap.ApplicationSearchResultEntry {
			message = p.entry(message)
		}
		p.writing.Lock()
		_, err = p.client.Write(message.Bytes())
		p.writing.Unlock()
		if err != nil {
			return
		}
	}
}
