package gate

import (
	"fmt"

	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	reflectionpb "google.golang.org/grpc/reflection/grpc_reflection_v1"
	reflectionalpha "google.golang.org/grpc/reflection/grpc_reflection_v1alpha"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/access"
)

// A rule asks for the permissions that a request needs. rules_test.go holds the table to
// have one for every method that is served, and each rule to ask about every namespace that
// a request of it can name.
type rule func(may *asking, req any) error

// asking is a request that asks for permissions.
type asking struct {
	caller *access.Caller
	grant  access.Grant
}

// on asks for a permission on a namespace.
func (a *asking) on(p access.Permission, namespace string) error {
	if namespace == "" {
		namespace = engine.DefaultNamespace
	}
	if a.grant.Allows(p, namespace) {
		return nil
	}
	return access.Denied(a.caller, a.grant, p, namespace)
}

// everywhere asks for a permission on all namespaces.
func (a *asking) everywhere(p access.Permission) error {
	if a.grant.AllowsAll(p) {
		return nil
	}
	return access.Denied(a.caller, a.grant, p, "")
}

// letInIsEnough is the rule of what shows and changes nothing of a namespace.
func letInIsEnough(*asking, any) error { return nil }

// onIts asks for a permission on the namespace of the request.
func onIts(p access.Permission) rule {
	return func(may *asking, req any) error {
		return may.on(p, req.(interface{ GetNamespace() string }).GetNamespace())
	}
}

func ofAll(p access.Permission) rule {
	return func(may *asking, _ any) error { return may.everywhere(p) }
}

// each asks for a permission on the namespace of every one of a list.
func each[T interface{ GetNamespace() string }](may *asking, p access.Permission, list []T) error {
	for _, x := range list {
		if err := may.on(p, x.GetNamespace()); err != nil {
			return err
		}
	}
	return nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func commitRule(may *asking, req any) error {
	r := req.(*pb.CommitRequest)
	return firstOf(each(may, access.Read, r.GetKeyPreconditions()), each(may, access.Read, r.GetHeadPreconditions()))
}

func transactRule(may *asking, req any) error {
	r := req.(*pb.TransactRequest)
	return firstOf(
		each(may, access.Write, r.GetOperations()),
		forksRule(may, r),
		each(may, access.Read, r.Preconditions()), each(may, access.Read, r.GetHeadPreconditions()),
		each(may, access.Read, r.GetReads().GetKeys()), each(may, access.Read, r.GetReads().GetRanges()),
	)
}

func batchGetRule(may *asking, req any) error {
	return each(may, access.Read, req.(*pb.BatchGetStateRequest).GetNames())
}

func renewRule(may *asking, req any) error {
	return each(may, access.Write, req.(*pb.RenewLeasesRequest).GetLeases())
}

func refreshRule(may *asking, req any) error {
	return each(may, access.Write, req.(*pb.RefreshExpiryRequest).GetNames())
}

// diffRule: the second agent is in the namespace of the first unless the request says otherwise.
func diffRule(may *asking, req any) error {
	r := req.(*pb.DiffRequest)
	to := r.GetToNamespace()
	if to == "" {
		to = r.GetNamespace()
	}
	return firstOf(may.on(access.Read, r.GetNamespace()), may.on(access.Read, to))
}

// onItsOrAll asks to read the namespace of the request. Of all, the answer has what may be read.
func onItsOrAll(may *asking, req any) error {
	r := req.(interface {
		GetNamespace() string
		GetAll() bool
	})
	if r.GetAll() && r.GetNamespace() == "" {
		return nil
	}
	return may.on(access.Read, r.GetNamespace())
}

// forksRule asks to read what is forked.
func forksRule(may *asking, r *pb.TransactRequest) error {
	for _, op := range r.GetOperations() {
		if f := op.GetFork(); f != nil {
			if err := may.on(access.Read, f.GetNamespace()); err != nil {
				return err
			}
		}
	}
	return nil
}

// rules of all methods. What is not in it is refused.
var rules = map[string]rule{
	pb.StatehouseService_Health_FullMethodName:            letInIsEnough,
	pb.StatehouseService_Version_FullMethodName:           letInIsEnough,
	pb.StatehouseService_GetStatus_FullMethodName:         letInIsEnough,
	pb.StatehouseService_BeginTransaction_FullMethodName:  letInIsEnough,
	pb.StatehouseService_Write_FullMethodName:             onIts(access.Write),
	pb.StatehouseService_Delete_FullMethodName:            onIts(access.Write),
	pb.StatehouseService_Commit_FullMethodName:            commitRule, // what was staged was allowed then
	pb.StatehouseService_Abort_FullMethodName:             letInIsEnough,
	pb.StatehouseService_GetState_FullMethodName:          onIts(access.Read),
	pb.StatehouseService_GetStateAtVersion_FullMethodName: onIts(access.Read),
	pb.StatehouseService_ListKeys_FullMethodName:          onIts(access.Read),
	pb.StatehouseService_ScanPrefix_FullMethodName:        onIts(access.Read),
	pb.StatehouseService_Replay_FullMethodName:            onIts(access.Read),
	pb.StatehouseService_Transact_FullMethodName:          transactRule,
	pb.StatehouseService_GetTransaction_FullMethodName:    letInIsEnough, // see answerable
	pb.StatehouseService_BatchGetState_FullMethodName:     batchGetRule,
	pb.StatehouseService_GetHistory_FullMethodName:        onIts(access.Read),
	pb.StatehouseService_ListAgents_FullMethodName:        onIts(access.Read),
	pb.StatehouseService_ListNamespaces_FullMethodName:    letInIsEnough, // it lists those that may be read
	pb.StatehouseService_ReplayBatches_FullMethodName:     onIts(access.Read),
	pb.StatehouseService_Watch_FullMethodName:             onIts(access.Read),
	pb.StatehouseService_RenewLeases_FullMethodName:       renewRule,
	pb.StatehouseService_ListLeases_FullMethodName:        onIts(access.Read),
	pb.StatehouseService_RefreshExpiry_FullMethodName:     refreshRule,
	pb.StatehouseService_Find_FullMethodName:              onIts(access.Read),
	pb.StatehouseService_Diff_FullMethodName:              diffRule,
	pb.StatehouseService_GetAgent_FullMethodName:          onIts(access.Read),
	pb.StatehouseService_ListRefusals_FullMethodName:      onItsOrAll,
	pb.StatehouseService_ListStreams_FullMethodName:       onItsOrAll,
	pb.StatehouseService_Session_FullMethodName:           letInIsEnough, // each of its requests is asked

	pb.CaptureService_StartCapture_FullMethodName:     ofAll(access.Admin),
	pb.CaptureService_StopCapture_FullMethodName:      ofAll(access.Admin),
	pb.CaptureService_GetCaptureStatus_FullMethodName: ofAll(access.Admin),
	pb.CaptureService_DumpCapture_FullMethodName:      ofAll(access.Admin),

	pb.AdminService_CreateAccessKey_FullMethodName:    ofAll(access.Admin),
	pb.AdminService_ListAccessKeys_FullMethodName:     ofAll(access.Admin),
	pb.AdminService_RotateAccessKey_FullMethodName:    ofAll(access.Admin),
	pb.AdminService_RevokeAccessKey_FullMethodName:    ofAll(access.Admin),
	pb.AdminService_ListAudit_FullMethodName:          ofAll(access.Admin),
	pb.AdminService_Backup_FullMethodName:             ofAll(access.Admin),
	pb.AdminService_SetRetention_FullMethodName:       onIts(access.Admin),
	pb.AdminService_ListRetention_FullMethodName:      ofAll(access.Admin),
	pb.AdminService_Erase_FullMethodName:              onIts(access.Admin),
	pb.AdminService_Compact_FullMethodName:            ofAll(access.Admin),
	pb.AdminService_GetDiskUsage_FullMethodName:       ofAll(access.Admin),
	pb.AdminService_BeginImport_FullMethodName:        ofAll(access.Admin), // it has the whole store wait
	pb.AdminService_ImportEvents_FullMethodName:       ofAll(access.Admin),
	pb.AdminService_FinishImport_FullMethodName:       ofAll(access.Admin),
	pb.AdminService_AbortImport_FullMethodName:        ofAll(access.Admin),
	pb.AdminService_ListImports_FullMethodName:        ofAll(access.Admin),
	pb.AdminService_ListTransactions_FullMethodName:   ofAll(access.Admin),
	pb.AdminService_AbortTransaction_FullMethodName:   ofAll(access.Admin),
	pb.AdminService_SetLogLevel_FullMethodName:        ofAll(access.Admin),
	pb.AdminService_GetDiagnostics_FullMethodName:     ofAll(access.Admin),
	pb.AdminService_GetCluster_FullMethodName:         ofAll(access.Admin),
	pb.AdminService_TransferLeadership_FullMethodName: ofAll(access.Admin),
	pb.AdminService_AddMember_FullMethodName:          ofAll(access.Admin),
	pb.AdminService_PromoteMember_FullMethodName:      ofAll(access.Admin),
	pb.AdminService_RemoveMember_FullMethodName:       ofAll(access.Admin),

	healthpb.Health_Check_FullMethodName:                                 letInIsEnough,
	healthpb.Health_List_FullMethodName:                                  letInIsEnough,
	healthpb.Health_Watch_FullMethodName:                                 letInIsEnough,
	reflectionpb.ServerReflection_ServerReflectionInfo_FullMethodName:    letInIsEnough,
	reflectionalpha.ServerReflection_ServerReflectionInfo_FullMethodName: letInIsEnough,
}

// HasRule reports whether there is a rule for a method.
func HasRule(method string) bool { return rules[method] != nil }

// acts are the methods that go to the audit log before they are done, each with what it says of
// its request. What changes keys is written with the change itself.
var acts = map[string]func(req any) map[string]string{
	pb.CaptureService_StartCapture_FullMethodName: nothingElse,
	pb.CaptureService_StopCapture_FullMethodName:  nothingElse,
	pb.CaptureService_DumpCapture_FullMethodName:  nothingElse,
	pb.AdminService_Backup_FullMethodName:         nothingElse,
	pb.AdminService_Compact_FullMethodName:        nothingElse,
	pb.AdminService_SetRetention_FullMethodName: func(req any) map[string]string {
		r := req.(*pb.SetRetentionRequest)
		return map[string]string{"namespace": r.GetNamespace(), "retention": r.String()}
	},
	pb.AdminService_Erase_FullMethodName: func(req any) map[string]string {
		r := req.(*pb.EraseRequest)
		if r.GetDryRun() {
			return nil
		}
		return map[string]string{"namespace": r.GetNamespace(), "agent_id": r.GetAgentId(), "key": r.GetKey(), "reason": r.GetReason()}
	},
	pb.AdminService_BeginImport_FullMethodName: func(req any) map[string]string {
		details := ofImport(req)
		for i, t := range req.(*pb.BeginImportRequest).GetTargets() {
			if i < mostNamed {
				details[fmt.Sprint("target_", i+1)] = t.GetNamespace() + " " + t.GetAgentId()
			}
			details["targets"] = fmt.Sprint(i + 1)
		}
		return details
	},
	pb.AdminService_FinishImport_FullMethodName: ofImport,
	pb.AdminService_AbortImport_FullMethodName:  ofImport,
	pb.AdminService_AbortTransaction_FullMethodName: func(req any) map[string]string {
		return map[string]string{"txn_id": req.(*pb.AbortTransactionRequest).GetTxnId()}
	},
	pb.AdminService_SetLogLevel_FullMethodName: func(req any) map[string]string {
		return map[string]string{"level": req.(*pb.SetLogLevelRequest).GetLevel()}
	},
	pb.AdminService_TransferLeadership_FullMethodName: func(req any) map[string]string {
		return map[string]string{"to": fmt.Sprint(req.(*pb.TransferLeadershipRequest).GetTo())}
	},
	pb.AdminService_AddMember_FullMethodName: func(req any) map[string]string {
		return map[string]string{"peer_address": req.(*pb.AddMemberRequest).GetPeerAddress()}
	},
	pb.AdminService_PromoteMember_FullMethodName: ofMember,
	pb.AdminService_RemoveMember_FullMethodName:  ofMember,
}

func ofMember(req any) map[string]string {
	return map[string]string{"member": fmt.Sprint(req.(interface{ GetId() uint64 }).GetId())}
}

// mostNamed is how many of what an import makes the audit log names.
const mostNamed = 8

func ofImport(req any) map[string]string {
	return map[string]string{"import_id": req.(interface{ GetImportId() string }).GetImportId()}
}

func nothingElse(any) map[string]string { return map[string]string{} }
