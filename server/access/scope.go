package access

import (
	"fmt"
	"strings"
)

// Permission is what may be done in a namespace. Each includes those before it.
type Permission uint8

const (
	None Permission = iota
	Read
	Write
	Admin
)

var permissions = []string{Read: "read", Write: "write", Admin: "admin"}

func (p Permission) String() string {
	if p == None || int(p) >= len(permissions) {
		return "none"
	}
	return permissions[p]
}

// MarshalText implements encoding.TextMarshaler.
func (p Permission) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Permission) UnmarshalText(text []byte) error {
	for i, name := range permissions {
		if i > 0 && name == string(text) {
			*p = Permission(i)
			return nil
		}
	}
	return fmt.Errorf("a permission is read, write or admin, not %q", text)
}

// Scope grants a permission on a namespace, or on all whose names begin with Namespace.
type Scope struct {
	Namespace  string     `json:"namespace"`
	Prefix     bool       `json:"prefix,omitempty"`
	Permission Permission `json:"permission"`
}

// ParseScope reads PERMISSION:NAMESPACE, where a * at the end makes a prefix of the namespace and
// * alone is all of them: read:prod-*, admin:*.
func ParseScope(s string) (Scope, error) {
	permission, namespace, found := strings.Cut(s, ":")
	var scope Scope
	if !found || namespace == "" {
		return scope, fmt.Errorf("a grant is PERMISSION:NAMESPACE, such as read:prod-* or admin:*, not %q", s)
	}
	if err := scope.Permission.UnmarshalText([]byte(permission)); err != nil {
		return scope, err
	}
	scope.Namespace, scope.Prefix = strings.CutSuffix(namespace, "*")
	return scope, scope.validate()
}

// String is what ParseScope reads.
func (s Scope) String() string {
	star := ""
	if s.Prefix {
		star = "*"
	}
	return s.Permission.String() + ":" + s.Namespace + star
}

const maxNamespace = 128

func (s Scope) validate() error {
	switch {
	case s.Permission < Read || s.Permission > Admin:
		return fmt.Errorf("a scope has the permission read, write or admin")
	case s.Namespace == "" && !s.Prefix:
		return fmt.Errorf("a scope names a namespace, or all of them by an empty prefix")
	case len(s.Namespace) > maxNamespace:
		return fmt.Errorf("a namespace has at most %d bytes", maxNamespace)
	}
	return checkText("namespace", s.Namespace)
}

// covers reports whether the scope is about a namespace.
func (s Scope) covers(namespace string) bool {
	return s.Namespace == namespace || s.Prefix && strings.HasPrefix(namespace, s.Namespace)
}

// Grant is what a caller may do; nil: everything.
type Grant []Scope

// Allows reports whether it includes a permission on a namespace.
func (g Grant) Allows(p Permission, namespace string) bool {
	if g == nil {
		return true
	}
	for _, s := range g {
		if s.Permission >= p && s.covers(namespace) {
			return true
		}
	}
	return false
}

// AllowsAll reports whether it includes a permission on all namespaces, those to come among them.
func (g Grant) AllowsAll(p Permission) bool {
	if g == nil {
		return true
	}
	for _, s := range g {
		if s.Permission >= p && s.Prefix && s.Namespace == "" {
			return true
		}
	}
	return false
}

// String lists the scopes.
func (g Grant) String() string {
	names := make([]string, len(g))
	for i, s := range g {
		names[i] = s.String()
	}
	return strings.Join(names, ", ")
}
