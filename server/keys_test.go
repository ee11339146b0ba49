package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
	"statehouse.dev/statehouse/server/gate"
)

// keyring is a rig whose shared token makes keys.
type keyring struct {
	*rig
	admin pb.AdminServiceClient
}

func newKeyring(t *testing.T, change ...func(*Config, *engine.Env)) *keyring {
	r := newRig(t, append(change, func(c *Config, _ *engine.Env) { c.Token = secret })...)
	r.mute = true
	return &keyring{r, pb.NewAdminServiceClient(r.conn)}
}

func (k *keyring) root() context.Context { return bearer(k.t, "Bearer "+secret) }

// create makes a key and returns its secret.
func (k *keyring) create(name string, grants ...string) string {
	k.t.Helper()
	made, err := k.admin.CreateAccessKey(k.root(), &pb.CreateAccessKeyRequest{Name: name, Scopes: scopes(k.t, grants...)})
	if err != nil {
		k.t.Fatal(err)
	}
	return made.GetSecret()
}

func scopes(t *testing.T, grants ...string) (list []*pb.AccessScope) {
	t.Helper()
	for _, g := range grants {
		s, err := access.ParseScope(g)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, &pb.AccessScope{Namespace: s.Namespace, Prefix: s.Prefix, Permission: pb.Permission(s.Permission)})
	}
	return list
}

func (k *keyring) as(secret string) context.Context { return bearer(k.t, "Bearer "+secret) }

func (k *keyring) transact(ctx context.Context, id string, namespaces ...string) error {
	q := &pb.TransactRequest{TxnId: id}
	for _, ns := range namespaces {
		q.Operations = append(q.Operations, set(ns, "a", "k", `{}`))
	}
	_, err := k.Transact(ctx, q)
	return err
}

func TestKeys(t *testing.T) {
	k := newKeyring(t)
	ann := k.create("ann", "write:prod-*", "read:shared")
	if !strings.HasPrefix(ann, "shk_") || strings.ContainsFunc(ann, func(r rune) bool { return r <= ' ' || r > '~' }) {
		t.Errorf("the secret is %q", ann)
	}
	ctx := k.as(ann)
	for _, c := range []struct {
		what string
		err  error
		ok   bool
	}{
		{"a write within a prefix", k.transact(ctx, "t1", "prod-eu"), true},
		{"the prefix itself", k.transact(ctx, "t2", "prod-"), true},
		{"a name that is shorter than the prefix", k.transact(ctx, "t3", "prod"), false},
		{"another namespace", k.transact(ctx, "t4", "test"), false},
		{"the default namespace", k.transact(ctx, "t5", ""), false},
		{"one of two", k.transact(ctx, "t6", "prod-eu", "test"), false},
		{"a write where it may read", k.transact(ctx, "t7", "shared"), false},
	} {
		if c.ok && c.err != nil {
			t.Errorf("%s: %v", c.what, c.err)
		}
		if !c.ok {
			refused(t, c.what, c.err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED, "write", "ann", "--grant write:")
		}
	}
	read := func(ns string) error {
		_, err := k.GetState(ctx, &pb.GetStateRequest{Namespace: ns, AgentId: "a", Key: "k"})
		return err
	}
	if err := read("shared"); err != nil {
		t.Error(err)
	}
	d := refused(t, "a read elsewhere", read("test"), codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED, "read")
	if d.Details["permission"] != "read" || d.Details["namespace"] != "test" {
		t.Errorf("details: %v", d.Details)
	}
	_, err := k.admin.ListAccessKeys(ctx, &pb.ListAccessKeysRequest{})
	refused(t, "keys", err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED, "admin", "all namespaces")

	// Names of namespaces that it may not read are not shown.
	if err := k.transact(k.root(), "t8", "test", "shared", "a", "zz"); err != nil {
		t.Fatal(err)
	}
	var names []string
	token := ""
	for {
		page, err := k.ListNamespaces(ctx, &pb.ListNamespacesRequest{Limit: 1, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, page.GetNamespaces()...)
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if !slices.Equal(names, []string{"prod-", "prod-eu", "shared"}) {
		t.Errorf("namespaces: %v", names)
	}
	if st, err := k.GetStatus(ctx, &pb.GetStatusRequest{}); err != nil || st.GetPrincipal() != "ann" {
		t.Errorf("status says %q, %v", st.GetPrincipal(), err)
	}
	if st, err := k.GetStatus(k.root(), &pb.GetStatusRequest{}); err != nil || st.GetPrincipal() != "token" {
		t.Errorf("status says %q, %v", st.GetPrincipal(), err)
	}
	for _, wrong := range []string{ann + "x", ann[:len(ann)-1], "shk_000000000000_" + ann[17:], "shk_", "shk__", ""} {
		_, err := k.GetStatus(k.as(wrong), &pb.GetStatusRequest{})
		refused(t, wrong, err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	}
}

func TestKeyRotation(t *testing.T) {
	k := newKeyring(t)
	first := k.create("ann", "read:*")
	rotate := func(overlap *durationpb.Duration) string {
		made, err := k.admin.RotateAccessKey(k.root(), &pb.RotateAccessKeyRequest{Key: "ann", Overlap: overlap})
		if err != nil {
			t.Fatal(err)
		}
		return made.GetSecret()
	}
	works := func(secret string) bool {
		_, err := k.GetStatus(k.as(secret), &pb.GetStatusRequest{})
		if err != nil && status.Code(err) != codes.Unauthenticated {
			t.Error(err)
		}
		return err == nil
	}
	second := rotate(durationpb.New(time.Hour))
	if !works(first) || !works(second) {
		t.Error("within the overlap not both secrets work")
	}
	k.skew.Store(int64(time.Hour))
	if works(first) || !works(second) {
		t.Error("after the overlap the older works, or the newer does not")
	}
	third := rotate(nil)
	fourth := rotate(nil)
	if works(second) || !works(third) || !works(fourth) {
		t.Error("of three secrets not just the newest two work")
	}
	fifth := rotate(durationpb.New(0))
	if works(third) || works(fourth) || !works(fifth) {
		t.Error("without overlap an older secret works, or the newest does not")
	}
}

func TestKeyEnds(t *testing.T) {
	k := newKeyring(t)
	made, err := k.admin.CreateAccessKey(k.root(), &pb.CreateAccessKeyRequest{Name: "ann", Scopes: scopes(t, "write:*"), ExpireTime: timestamppb.New(time.Now().Add(time.Hour))})
	if err != nil {
		t.Fatal(err)
	}
	revoked, expired := k.create("bob", "write:*"), made.GetSecret()
	watch := func(secret string) <-chan error {
		w, err := k.Watch(k.as(secret), &pb.WatchRequest{AgentId: "a"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Recv(); err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() {
			for {
				if _, err := w.Recv(); err != nil {
					end <- err
					return
				}
			}
		}()
		return end
	}
	session := func(secret string) <-chan error {
		ss, err := k.Session(k.as(secret))
		if err != nil {
			t.Fatal(err)
		}
		end := make(chan error, 1)
		go func() { _, err := ss.Recv(); end <- err }()
		return end
	}
	ends := map[string][]<-chan error{"revoked": {watch(revoked), session(revoked)}, "expired": {watch(expired), session(expired)}}
	still := watch(secret)
	if _, err := k.admin.RevokeAccessKey(k.root(), &pb.RevokeAccessKeyRequest{Key: "bob"}); err != nil {
		t.Fatal(err)
	}
	refused(t, "a write", k.transact(k.as(revoked), "t1", "x"), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, "bob", "revoked")
	k.skew.Store(int64(time.Hour))
	refused(t, "a write", k.transact(k.as(expired), "t2", "x"), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, "ann", "expired")
	for what, list := range ends { // in any order
		for i, end := range list {
			select {
			case err := <-end:
				refused(t, what, err, codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED, what)
			case <-time.After(time.Second):
				t.Errorf("%s: stream %d goes on after a second", what, i)
			}
		}
	}
	select {
	case err := <-still:
		t.Errorf("the token's watch ended, too: %v", err)
	default:
	}
	// The token can be taken away as well, and then keys are all there is.
	carol := k.create("carol", "admin:*")
	k.service.SetToken("")
	if err := <-still; status.Code(err) != codes.Unauthenticated {
		t.Errorf("the watch of the token that is gone: %v", err)
	}
	for what, ctx := range map[string]context.Context{"the old token": k.root(), "nothing": timeout(t)} { // in any order
		refused(t, what, k.transact(ctx, "t3", "x"), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
	}
	_, err = k.admin.RevokeAccessKey(k.as(carol), &pb.RevokeAccessKeyRequest{Key: "carol"})
	refused(t, "the last key that may administer", err, codes.FailedPrecondition, pb.ErrorCode_PRECONDITION_FAILED, "--force")
	if _, err = k.admin.RevokeAccessKey(k.as(carol), &pb.RevokeAccessKeyRequest{Key: "carol", Force: true}); err != nil {
		t.Error(err)
	}
	// Access does not become open again.
	refused(t, "nothing", k.transact(timeout(t), "t3", "x"), codes.Unauthenticated, pb.ErrorCode_UNAUTHENTICATED)
}

// A commit that waits for the writer when its key is revoked is refused when its turn comes.
func TestCommitOfARevokedKey(t *testing.T) {
	hold := make(chan struct{})
	waiting := make(chan struct{}, 1)
	k := newKeyring(t)
	ann := k.create("ann", "write:*")
	caller, err := k.service.access.Identify(access.Shown{Authorization: []string{"Bearer " + ann}})
	if err != nil {
		t.Fatal(err)
	}
	// The writer is kept busy with an update that waits, so that both come after it.
	go func() {
		_ = k.service.engine.UpdateSystem(context.Background(), engine.SystemUpdate{Decide: func(time.Time, engine.SystemReader) ([]engine.SystemChange, error) {
			waiting <- struct{}{}
			<-hold
			return nil, nil
		}})
	}()
	<-waiting
	done := make(chan error, 2)
	go func() {
		_, err := k.admin.RevokeAccessKey(k.root(), &pb.RevokeAccessKeyRequest{Key: "ann"})
		done <- err
	}()
	eventually(t, "the revocation waits", func() error {
		if k.service.Held().Commits.Queued == 0 {
			return errNotYet
		}
		return nil
	})
	close(hold)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	_, err = k.service.Transact(access.WithCaller(timeout(t), caller), &pb.TransactRequest{
		TxnId: "late", Operations: []*pb.TransactOperation{set("", "a", "k", `{}`)},
	})
	if !errors.Is(err, access.ErrUnauthenticated) {
		t.Errorf("a commit that was let in before the revocation: %v", err)
	}
}

func TestTransactionsBelongToPrincipals(t *testing.T) {
	k := newKeyring(t)
	ann, bob := k.as(k.create("ann", "write:x")), k.as(k.create("bob", "admin:*"))
	begun, err := k.BeginTransaction(ann, &pb.BeginTransactionRequest{})
	if err != nil {
		t.Fatal(err)
	}
	id := begun.GetTxnId()
	if _, err := k.Write(ann, &pb.WriteRequest{TxnId: id, Namespace: "x", AgentId: "a", Key: "k", ValueJson: []byte(`{}`)}); err != nil {
		t.Fatal(err)
	}
	_, werr := k.Write(bob, &pb.WriteRequest{TxnId: id, Namespace: "x", AgentId: "a", Key: "k", ValueJson: []byte(`{}`)})
	_, gerr := k.GetState(bob, &pb.GetStateRequest{TxnId: id, Namespace: "x", AgentId: "a", Key: "k"})
	_, cerr := k.StatehouseServiceClient.Commit(bob, &pb.CommitRequest{TxnId: id})
	for what, err := range map[string]error{"write": werr, "read": gerr, "commit": cerr} { // in any order
		refused(t, what, err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND, "another principal")
	}
	if _, err := k.Abort(bob, &pb.AbortRequest{TxnId: id}); err != nil {
		t.Errorf("an abort of what is not known: %v", err)
	}
	if _, err := k.StatehouseServiceClient.Commit(ann, &pb.CommitRequest{TxnId: id}); err != nil {
		t.Errorf("the commit of who began it: %v", err)
	}
	// What became of it is shown to who may read it.
	eve := k.as(k.create("eve", "read:y"))
	_, err = k.GetTransaction(eve, &pb.GetTransactionRequest{TxnId: id})
	refused(t, "an outcome in a namespace that eve may not read", err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED)
	_, err = k.StatehouseServiceClient.Commit(eve, &pb.CommitRequest{TxnId: id})
	refused(t, "the commit sent again by another", err, codes.NotFound, pb.ErrorCode_TXN_NOT_FOUND)
	if err := k.transact(bob, "both", "x", "y"); err != nil {
		t.Fatal(err)
	}
	got, err := k.GetTransaction(eve, &pb.GetTransactionRequest{TxnId: "both"})
	if err != nil || len(got.GetVersions()) != 1 || got.GetVersions()[0].GetNamespace() != "y" {
		t.Errorf("the outcome that eve may read a part of: %v, %v", got, err)
	}
}

// A key is made with the token, or offline; not by just anybody.
func TestFirstKeyIsNotAnybodys(t *testing.T) {
	r := newRig(t)
	_, err := pb.NewAdminServiceClient(r.conn).CreateAccessKey(timeout(t), &pb.CreateAccessKeyRequest{Name: "ann", Scopes: scopes(t, "admin:*")})
	refused(t, "a key made by anybody", err, codes.PermissionDenied, pb.ErrorCode_PERMISSION_DENIED, "statehoused key create")
}

func TestAuditLog(t *testing.T) {
	k := newKeyring(t)
	ann := k.create("ann", "read:x")
	if _, err := k.admin.CreateAccessKey(k.root(), &pb.CreateAccessKeyRequest{Name: "ann", Scopes: scopes(t, "read:x")}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("another key of that name: %v", err)
	}
	for range 5 {
		_ = k.transact(k.as(ann), "t", "x")
	}
	if _, err := pb.NewCaptureServiceClient(k.conn).StopCapture(k.root(), &pb.StopCaptureRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.admin.RevokeAccessKey(k.root(), &pb.RevokeAccessKeyRequest{Key: "ann"}); err != nil {
		t.Fatal(err)
	}
	k.skew.Store(int64(2 * time.Minute))
	var got []*pb.AuditEntry
	eventually(t, "the refusals are written", func() error {
		list, err := k.admin.ListAudit(k.root(), &pb.ListAuditRequest{})
		if err != nil {
			return err
		}
		if got = list.GetEntries(); len(got) < 4 {
			return errNotYet
		}
		return nil
	})
	var entries []string
	for _, e := range got {
		entries = append(entries, fmt.Sprint(e.GetNumber(), e.GetPrincipal(), e.GetAction(), e.GetCount(), e.GetRefused() != ""))
		if strings.Contains(e.String(), ann) {
			t.Errorf("an entry has a secret: %v", e)
		}
	}
	if want := []string{"1tokenCreateAccessKey0 false", "2tokenStopCapture0 false", "3tokenRevokeAccessKey0 false", "4annTransact5 true"}; !slices.Equal(entries, want) {
		t.Errorf("the audit log is %q", entries)
	}
	if err := access.Verify(k.service.engine); err != nil {
		t.Error(err)
	}
	next, err := k.admin.ListAudit(k.root(), &pb.ListAuditRequest{After: 1, Limit: 2})
	if err != nil || len(next.GetEntries()) != 2 || next.GetEntries()[0].GetNumber() != 2 || !next.GetMore() {
		t.Errorf("a page: %v, %v", next, err)
	}
}

// What is served is known to those who decide about it: a service that is registered and has no
// rules would be for those only who may do everything.
func TestEveryServiceHasRules(t *testing.T) {
	r := newRig(t)
	g := grpc.NewServer()
	defer g.Stop()
	r.service.Register(g)
	healthpb.RegisterHealthServer(g, health.NewServer())
	reflection.Register(g)
	for service, info := range g.GetServiceInfo() { // in any order
		for _, m := range info.Methods {
			if method := "/" + service + "/" + m.Name; !gate.HasRule(method) {
				t.Errorf("%s has no rule", method)
			}
		}
	}
}
