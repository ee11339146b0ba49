package admin

import (
	"context"
	"io"

	"statehouse.dev/statehouse/client"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// Backup writes a segment (package history/segment): the whole store as of now, or what was
// committed after an earlier backup ended, at a commit of an epoch. Only ctx bounds how long
// that takes. After an error what was written is no backup, and its reader can tell. progress,
// unless nil, is told up to which commit it has come, of how many.
func (c *Client) Backup(ctx context.Context, after client.CommitTS, epoch string, out io.Writer, progress func(at, last client.CommitTS)) error {
	stream, err := c.stub.Backup(ctx, &pb.BackupRequest{AfterTs: uint64(after), Epoch: epoch})
	if err != nil {
		return client.Failure(ctx, err)
	}
	for {
		m, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return client.Failure(ctx, err)
		}
		if _, err := out.Write(m.GetData()); err != nil {
			return err
		}
		if progress != nil {
			progress(client.CommitTS(m.GetSentTs()), client.CommitTS(m.GetLastTs()))
		}
	}
}
