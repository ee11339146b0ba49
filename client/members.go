package client

import (
	"errors"

	"statehouse.dev/statehouse/client/members"
	"statehouse.dev/statehouse/client/reach"
	"statehouse.dev/statehouse/client/session"
	"statehouse.dev/statehouse/client/traced"
	pb "statehouse.dev/statehouse/proto/statehouse/v1"
)

// dialMembers is Dial of daemons that keep one store: a connection to each, with a session of its own.
func dialMembers(config Config) (*Client, error) {
	config.setDefaults()
	var list []members.Member
	var closers []func() error
	for _, address := range config.Addresses {
		one := config
		one.Address = address
		conn, err := Connect(one)
		if err != nil {
			return nil, errors.Join(err, closeAll(closers))
		}
		closers = append(closers, conn.Close)
		m := members.Member{Address: address, Conn: reach.Authorised(conn, config.Token)}
		if !config.Unary {
			s := session.New(m.Conn, session.Options{})
			closers = append(closers, func() error { s.Close(); return nil })
			m.Conn = s
		}
		list = append(list, m)
	}
	conn := members.New(list, members.Options{Now: config.Now, WithTimeout: config.WithTimeout})
	c := newClient(config, conn, true)
	c.closer = func() error { return closeAll(closers) }
	c.stub = pb.NewStatehouseServiceClient(traced.Conn(conn, config.Trace))
	return c, nil
}

// closeAll closes in the opposite order: a session before its connection.
func closeAll(closers []func() error) error {
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i]())
	}
	return errors.Join(errs...)
}
