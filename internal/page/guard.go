package page

import (
	"crypto/rand"
	"crypto/subtle"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// policy lets the page load from its own place only, and nobody frame it.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// NewToken returns a token that nobody can guess.
func NewToken() string { return rand.Text() }

// guard lets only those in who know the token and mean this server: a page of another origin that a browser shows
// cannot know the token, and a name that was made to point here (DNS rebinding) is not our Host.
type guard struct {
	token string // "" for a page that everybody may see
	hosts []string
	next  http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", contentPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if len(g.hosts) > 0 && !g.known(r.Host) {
		http.Error(w, "this server is not "+strings.ToValidUTF8(r.Host, "?"), http.StatusMisdirectedRequest)
		return
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		if u, err := url.Parse(origin); err != nil || u.Host != r.Host {
			http.Error(w, "requests from other origins are refused", http.StatusForbidden)
			return
		}
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "this page only shows", http.StatusMethodNotAllowed)
		return
	}
	if g.token == "" {
		g.next.ServeHTTP(w, r)
		return
	}
	token, rest, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if subtle.ConstantTimeCompare([]byte(token), []byte(g.token)) != 1 {
		http.Error(w, "the address needs the token that ivt page printed", http.StatusForbidden)
		return
	}
	if !ok {
		http.Redirect(w, r, "/"+token+"/", http.StatusMovedPermanently)
		return
	}
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + rest
	g.next.ServeHTTP(w, inner)
}

func (g *guard) known(host string) bool {
	for _, h := range g.hosts {
		if strings.EqualFold(h, host) {
			return true
		}
	}
	return false
}

// loopbackHosts are the names by which a browser on this machine calls the listener.
func loopbackHosts(a net.Addr) []string {
	_, port, err := net.SplitHostPort(a.String())
	if err != nil {
		return nil
	}
	return []string{"127.0.0.1:" + port, "localhost:" + port, "[::1]:" + port}
}
