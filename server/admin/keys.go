package admin

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// permissions and pb.Permission have the same numbers.
func permissionOf(p pb.Permission) access.Permission {
	if p < 0 || p > pb.Permission_PERMISSION_ADMIN {
		return access.None
	}
	return access.Permission(p)
}

// CreateAccessKey makes a key.
func (s *Service) CreateAccessKey(ctx context.Context, req *pb.CreateAccessKeyRequest) (*pb.AccessKeySecret, error) {
	k := access.Key{Name: req.GetName(), Certificate: req.GetCertificate(), Rate: req.GetRequestsPerSecond()}
	for _, scope := range req.GetScopes() {
		k.Scopes = append(k.Scopes, access.Scope{Namespace: scope.GetNamespace(), Prefix: scope.GetPrefix(), Permission: permissionOf(scope.GetPermission())})
	}
	if t := req.GetExpireTime(); t != nil {
		if err := t.CheckValid(); err != nil {
			return nil, invalid("expire_time", err.Error())
		}
		k.Expires = t.AsTime()
	}
	made, secret, err := s.Access.Create(ctx, k)
	if err != nil {
		return nil, err
	}
	return &pb.AccessKeySecret{Key: s.keyMessage(made), Secret: secret}, nil
}

// ListAccessKeys lists keys.
func (s *Service) ListAccessKeys(_ context.Context, req *pb.ListAccessKeysRequest) (*pb.ListAccessKeysResponse, error) {
	resp := new(pb.ListAccessKeysResponse)
	for _, k := range s.Access.Keys(req.GetAll()) {
		resp.Keys = append(resp.Keys, s.keyMessage(k))
	}
	return resp, nil
}

// RotateAccessKey gives a key another secret.
func (s *Service) RotateAccessKey(ctx context.Context, req *pb.RotateAccessKeyRequest) (*pb.AccessKeySecret, error) {
	overlap := access.DefaultOverlap
	if d := req.GetOverlap(); d != nil {
		if err := d.CheckValid(); err != nil {
			return nil, invalid("overlap", err.Error())
		}
		overlap = d.AsDuration()
	}
	k, secret, err := s.Access.Rotate(ctx, req.GetKey(), overlap)
	if err != nil {
		return nil, err
	}
	return &pb.AccessKeySecret{Key: s.keyMessage(k), Secret: secret}, nil
}

// RevokeAccessKey ends a key.
func (s *Service) RevokeAccessKey(ctx context.Context, req *pb.RevokeAccessKeyRequest) (*pb.AccessKey, error) {
	k, err := s.Access.Revoke(ctx, req.GetKey(), req.GetForce())
	if err != nil {
		return nil, err
	}
	return s.keyMessage(k), nil
}

func (s *Service) keyMessage(k *access.Key) *pb.AccessKey {
	m := &pb.AccessKey{
		KeyId: k.ID, Name: k.Name, CreatedTime: timeMessage(k.Created), ExpireTime: timeMessage(k.Expires), RevokedTime: timeMessage(k.Revoked),
		CreatedBy: k.CreatedBy, RequestsPerSecond: k.Rate, Certificate: k.Certificate,
	}
	n, olderEnds := k.LiveSecrets(s.Env.Now())
	m.Secrets, m.OldSecretExpireTime = uint32(n), timeMessage(olderEnds)
	for _, scope := range k.Scopes {
		m.Scopes = append(m.Scopes, &pb.AccessScope{Namespace: scope.Namespace, Prefix: scope.Prefix, Permission: pb.Permission(scope.Permission)})
	}
	return m
}

// What an answer lists at most.
const (
	maxAuditPage  = 1000
	maxAuditBytes = 3 << 20
)

// ListAudit pages through the audit log.
func (s *Service) ListAudit(_ context.Context, req *pb.ListAuditRequest) (*pb.ListAuditResponse, error) {
	limit := int(req.GetLimit())
	if limit == 0 || limit > maxAuditPage {
		limit = maxAuditPage
	}
	entries, more, err := access.Audit(s.Engine, req.GetAfter(), limit)
	if err != nil {
		return nil, err
	}
	resp := &pb.ListAuditResponse{More: more}
	size := 0
	for _, e := range entries {
		hash, _ := e.Hash.MarshalText()
		m := &pb.AuditEntry{
			Number: e.Number, Time: timeMessage(e.Time), Principal: e.Principal, Action: e.Action, Details: e.Details, Refused: e.Refused,
			Hash: string(hash), Count: e.Count,
		}
		if size += proto.Size(m); size > maxAuditBytes {
			resp.More = true
			break
		}
		resp.Entries = append(resp.Entries, m)
	}
	return resp, nil
}

func timeMessage(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func invalid(field, message string) error {
	return &engine.Failure{Kind: engine.ErrInvalid, Message: message, Details: map[string]string{"field": field}}
}
