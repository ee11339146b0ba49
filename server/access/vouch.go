package access

import (
	"encoding/json"
	"time"
)

// A request that one daemon of a cluster hands to another says who asks as the first has found out. Whether that is
// still good, and what it may, is for the second to say. What was shown does not come along, but for its hash: the
// shared token and the secret of a key may have been replaced since.

// vouched is a caller on its way.
type vouched struct {
	Name  string    `json:"name"`
	By    kind      `json:"by"`
	ID    string    `json:"id"`
	Hash  Hash      `json:"hash"`
	Until time.Time `json:"until"`
}

// Vouch is the caller for another daemon of the cluster.
func (c *Caller) Vouch() []byte {
	text, _ := json.Marshal(vouched{c.Name, c.by, c.id, c.hash, c.until}) // text, numbers and a time of a certificate
	return text
}

// Vouched is a caller that another daemon of the cluster vouches for. Who is local is so on one machine only.
func Vouched(text []byte) (*Caller, error) {
	var v vouched
	if err := decode(text, &v); err != nil {
		return nil, err
	}
	if v.By > byCertificate {
		return nil, unauthenticated("another member of the cluster does not say who asks")
	}
	return &Caller{Name: v.Name, by: v.By, id: v.ID, hash: v.Hash, until: v.Until}, nil
}
