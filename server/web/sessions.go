package web

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// A session is a key that the inspector's page does not hold: its user shows it once, and a cookie that
// no script can read stands for it. With it the daemon can be read and not written: whatever a page
// could make a browser do, a cookie goes along, and a key does not.
const (
	sessionTime  = 12 * time.Hour
	mostSessions = 1024
)

// readable are the methods that a session may call.
var readable = func() map[string]bool {
	methods := map[string]bool{
		pb.StatehouseService_BatchGetState_FullMethodName: true,
		pb.StatehouseService_Find_FullMethodName:          true,
		pb.StatehouseService_Replay_FullMethodName:        true,
	}
	for path, method := range Reads { // sets: any order
		methods[path], methods[method] = true, true
	}
	for path, method := range Streams { // sets: any order
		methods[path], methods[method] = true, true
	}
	return methods
}()

// sessions are those that are open, by a hash of what their cookies hold.
type sessions struct {
	cookie string // its name: of another port of the same host it is another
	now    func() time.Time
	mu     sync.Mutex
	open   map[[sha256.Size]byte]session
}

type session struct {
	key   string
	until time.Time
}

func newSessions(listeners []net.Listener) *sessions {
	s := &sessions{cookie: "statehouse_session", now: time.Now, open: make(map[[sha256.Size]byte]session)}
	if len(listeners) > 0 {
		if _, port, err := net.SplitHostPort(listeners[0].Addr().String()); err == nil {
			s.cookie += "_" + port
		}
	}
	return s
}

// begin begins one, and returns what its cookie holds. When there are too many, the one that would
// end first does.
func (s *sessions) begin(key string) string {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for len(s.open) >= mostSessions {
		var first [sha256.Size]byte
		var until time.Time
		for h, o := range s.open { // the earliest of all: any order
			if until.IsZero() || o.until.Before(until) {
				first, until = h, o.until
			}
		}
		delete(s.open, first)
	}
	s.open[sha256.Sum256([]byte(id))] = session{key, now.Add(sessionTime)}
	return id
}

// keyOf is the key of a request's session; empty: it has none.
func (s *sessions) keyOf(r *http.Request) string {
	c, err := r.Cookie(s.cookie)
	if err != nil {
		return ""
	}
	h := sha256.Sum256([]byte(c.Value))
	s.mu.Lock()
	defer s.mu.Unlock()
	o, is := s.open[h]
	if is && !s.now().Before(o.until) {
		delete(s.open, h)
		is = false
	}
	if !is {
		return ""
	}
	return o.key
}

func (s *sessions) end(r *http.Request) {
	if c, err := r.Cookie(s.cookie); err == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, sha256.Sum256([]byte(c.Value)))
	}
}

// remembered puts the key of a session where a client would put it, for what reads.
func (f *Front) remembered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" && readable[r.URL.Path] {
			if key := f.sessions.keyOf(r); key != "" {
				r.Header.Set("Authorization", "Bearer "+key)
			}
		}
		if !strings.HasPrefix(r.URL.Path, "/ui/") {
			r.Header.Del("Cookie") // of this listener, or of another on the same host
		}
		next.ServeHTTP(w, r)
	})
}

const maxKeyBytes = 16 << 10

// signIn exchanges a key that lets in for a session.
func (f *Front) signIn(w http.ResponseWriter, r *http.Request) {
	if kind, refusal := typeOf(r); refusal != "" || kind != "application/json" {
		fail(w, http.StatusUnsupportedMediaType, codes.InvalidArgument, "send Content-Type: application/json")
		return
	}
	var shown struct {
		Key string `json:"key"`
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxKeyBytes))
	if err != nil || json.Unmarshal(body, &shown) != nil || shown.Key == "" {
		fail(w, http.StatusBadRequest, codes.InvalidArgument, `send {"key": "shk_…"}`)
		return
	}
	r.Header.Set("Authorization", "Bearer "+shown.Key)
	st := f.ask(r, pb.StatehouseService_GetStatus_FullMethodName, &pb.GetStatusRequest{}, func([]byte) error { return nil })
	if st.Code() != codes.OK {
		failed(w, st)
		return
	}
	http.SetCookie(w, f.cookie(f.sessions.begin(shown.Key), 0))
	w.WriteHeader(http.StatusNoContent)
}

// signOut ends a session.
func (f *Front) signOut(w http.ResponseWriter, r *http.Request) {
	f.sessions.end(r)
	http.SetCookie(w, f.cookie("", -1))
	w.WriteHeader(http.StatusNoContent)
}

// cookie ends with the browser's session, unless age says otherwise.
func (f *Front) cookie(value string, age int) *http.Cookie {
	return &http.Cookie{Name: f.sessions.cookie, Value: value, Path: "/", MaxAge: age, HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: f.config.TLS != nil}
}
