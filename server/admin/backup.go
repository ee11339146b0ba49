package admin

import (
	"bytes"
	"errors"

	"statehouse.dev/statehouse/engine"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
	"statehouse.dev/statehouse/server/backup"
	"statehouse.dev/statehouse/server/unsent"
)

// backupBytes is about the size of a message of a backup.
const backupBytes = unsent.MaxShare / 2

// Backup sends a segment. A client that reads slowly makes it wait and hold the files that the store
// had when it began, and a part of the log that has a bound.
func (s *Service) Backup(req *pb.BackupRequest, stream pb.AdminService_BackupServer) error {
	ctx, after := stream.Context(), engine.CommitTS(req.GetAfterTs())
	if after > 0 {
		if err := s.Engine.CheckEpoch(req.GetEpoch(), after); err != nil {
			return err
		}
	}
	x, err := s.Engine.Export(after)
	if err != nil {
		return err
	}
	if x.Of().To == 0 {
		return errors.Join(&engine.Failure{Kind: engine.ErrInvalid, Message: "the store has no commits: there is nothing to back up"}, x.Close())
	}
	w := &backupWriter{stream: stream, x: x}
	_, err = backup.Write(ctx, x, w, nil)
	if err == nil {
		err = w.flush()
	}
	return errors.Join(err, x.Close())
}

// backupWriter cuts a backup into messages.
type backupWriter struct {
	buf    bytes.Buffer
	stream pb.AdminService_BackupServer
	x      *engine.Export
}

func (w *backupWriter) Write(p []byte) (int, error) {
	w.buf.Write(p)
	for w.buf.Len() >= backupBytes {
		if err := w.send(); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

func (w *backupWriter) flush() error {
	for w.buf.Len() > 0 {
		if err := w.send(); err != nil {
			return err
		}
	}
	return nil
}

func (w *backupWriter) send() error {
	if err := unsent.StreamOf(w.stream.Context()).Ready(w.stream.Context()); err != nil {
		return err
	}
	return w.stream.Send(&pb.BackupResponse{
		Data: bytes.Clone(w.buf.Next(backupBytes)), SentTs: uint64(w.x.At()), LastTs: uint64(w.x.Of().To),
	})
}
