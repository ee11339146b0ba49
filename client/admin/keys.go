package admin

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Permission is what may be done in a namespace: "read", "write" (which includes it) or "admin" (which
// includes both).
type Permission string

// The permissions.
const (
	Read  Permission = "read"
	Write Permission = "write"
	Admin Permission = "admin"
)

var permissions = map[Permission]pb.Permission{Read: pb.Permission_PERMISSION_READ, Write: pb.Permission_PERMISSION_WRITE, Admin: pb.Permission_PERMISSION_ADMIN}

// Scope grants a permission on a namespace, or with Prefix on all whose names begin with it: all of
// them when Namespace is empty.
type Scope struct {
	Permission Permission `json:"permission"`
	Namespace  string     `json:"namespace"`
	Prefix     bool       `json:"prefix,omitempty"`
}

// Key is an access key, without its secrets.
type Key struct {
	ID        string  `json:"key_id"`
	Name      string  `json:"name"` // the principal
	Scopes    []Scope `json:"scopes"`
	CreatedBy string  `json:"created_by,omitempty"`
	// Certificate says that it has no secret: it is shown by a client certificate of that subject.
	Certificate bool      `json:"certificate,omitempty"`
	Created     time.Time `json:"created_time"`
	Expires     time.Time `json:"expire_time,omitzero"`  // zero: never
	Revoked     time.Time `json:"revoked_time,omitzero"` // zero: it was not
	// Secrets is how many work; of two the older ends at OldSecretExpires.
	Secrets          int       `json:"secrets"`
	OldSecretExpires time.Time `json:"old_secret_expire_time,omitzero"`
	// RequestsPerSecond bounds what it may ask; 0: no limit of its own.
	RequestsPerSecond float64 `json:"requests_per_second,omitempty"`
}

// CreateKey makes a key as k says, by its Name, Scopes, Certificate, Expires and RequestsPerSecond, and
// returns it with its secret: what a client is given as its token. It is told this once.
func (c *Client) CreateKey(ctx context.Context, k Key) (Key, string, error) {
	req := &pb.CreateAccessKeyRequest{Name: k.Name, RequestsPerSecond: k.RequestsPerSecond, Certificate: k.Certificate}
	for _, s := range k.Scopes {
		req.Scopes = append(req.Scopes, &pb.AccessScope{Namespace: s.Namespace, Prefix: s.Prefix, Permission: permissions[s.Permission]})
	}
	if !k.Expires.IsZero() {
		req.ExpireTime = timestamppb.New(k.Expires)
	}
	made, err := ask(ctx, c, c.stub.CreateAccessKey, req)
	return keyOf(made.GetKey()), made.GetSecret(), err
}

// Keys lists the keys that work; with all, also those that were revoked or have expired.
func (c *Client) Keys(ctx context.Context, all bool) ([]Key, error) {
	list, err := ask(ctx, c, c.stub.ListAccessKeys, &pb.ListAccessKeysRequest{All: all})
	keys := make([]Key, len(list.GetKeys()))
	for i, k := range list.GetKeys() {
		keys[i] = keyOf(k)
	}
	return keys, err
}

// RotateKey gives a key, by its id or name, another secret and returns it. The one before works for
// overlap more; nil: for a day.
func (c *Client) RotateKey(ctx context.Context, key string, overlap *time.Duration) (Key, string, error) {
	req := &pb.RotateAccessKeyRequest{Key: key}
	if overlap != nil {
		req.Overlap = durationpb.New(*overlap)
	}
	made, err := ask(ctx, c, c.stub.RotateAccessKey, req)
	return keyOf(made.GetKey()), made.GetSecret(), err
}

// RevokeKey ends a key, by its id or name. The last that may administer is only revoked with force.
func (c *Client) RevokeKey(ctx context.Context, key string, force bool) (Key, error) {
	k, err := ask(ctx, c, c.stub.RevokeAccessKey, &pb.RevokeAccessKeyRequest{Key: key, Force: force})
	return keyOf(k), err
}

func keyOf(m *pb.AccessKey) Key {
	k := Key{
		ID: m.GetKeyId(), Name: m.GetName(), CreatedBy: m.GetCreatedBy(), Certificate: m.GetCertificate(),
		Created: timeOf(m.GetCreatedTime()), Expires: timeOf(m.GetExpireTime()), Revoked: timeOf(m.GetRevokedTime()),
		Secrets: int(m.GetSecrets()), OldSecretExpires: timeOf(m.GetOldSecretExpireTime()), RequestsPerSecond: m.GetRequestsPerSecond(),
	}
	for _, s := range m.GetScopes() {
		scope := Scope{Namespace: s.GetNamespace(), Prefix: s.GetPrefix()}
		for name, number := range permissions { // one has it: order cannot matter
			if number == s.GetPermission() {
				scope.Permission = name
			}
		}
		k.Scopes = append(k.Scopes, scope)
	}
	return k
}

// AuditEntry is an entry of the audit log.
type AuditEntry struct {
	Number    uint64            `json:"number"`
	Time      time.Time         `json:"time"`
	Principal string            `json:"principal,omitempty"`
	Action    string            `json:"action"`
	Details   map[string]string `json:"details,omitempty"`
	Refused   string            `json:"refused,omitempty"` // why; empty: it was done
	Count     uint64            `json:"count,omitempty"`   // of the same refusals in the same minute
	Hash      string            `json:"hash"`              // over the entry and the hash before it
}

// Audit visits the entries of the audit log after a number, oldest first, until visit returns an error,
// which it returns.
func (c *Client) Audit(ctx context.Context, after uint64, visit func(AuditEntry) error) error {
	for {
		page, err := ask(ctx, c, c.stub.ListAudit, &pb.ListAuditRequest{After: after})
		if err != nil {
			return err
		}
		for _, e := range page.GetEntries() {
			after = e.GetNumber()
			if err := visit(AuditEntry{
				Number: e.GetNumber(), Time: timeOf(e.GetTime()), Principal: e.GetPrincipal(), Action: e.GetAction(), Details: e.GetDetails(),
				Refused: e.GetRefused(), Count: e.GetCount(), Hash: e.GetHash(),
			}); err != nil {
				return err
			}
		}
		if !page.GetMore() {
			return nil
		}
	}
}

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// ParseScope reads PERMISSION:NAMESPACE, where a * at the end makes a prefix of the namespace and *
// alone is all of them: read:prod-*, admin:*.
func ParseScope(s string) (Scope, error) {
	permission, namespace, found := strings.Cut(s, ":")
	scope := Scope{Permission: Permission(permission)}
	if !found || namespace == "" || permissions[scope.Permission] == 0 {
		return Scope{}, fmt.Errorf("a grant is read, write or admin, a colon, and a namespace or the beginning of some and *, such as read:prod-* or admin:*, not %q", s)
	}
	scope.Namespace, scope.Prefix = strings.CutSuffix(namespace, "*")
	return scope, nil
}

// String is what ParseScope reads.
func (s Scope) String() string {
	star := ""
	if s.Prefix {
		star = "*"
	}
	return string(s.Permission) + ":" + s.Namespace + star
}
