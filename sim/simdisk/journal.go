package simdisk

import "slices"

// edit sets one directory entry; a nil node removes it.
type edit struct {
	dir  *node
	name string
	node *node
}

// change is one directory operation, which happens whole or not at all. A
// rename has two edits, all others have one.
type change []edit

func (c change) touches(dirs []*node) bool {
	return slices.ContainsFunc(c, func(e edit) bool { return slices.Contains(dirs, e.dir) })
}

// journal holds the directory operations that are not durable yet, in the order
// they happened. A crash keeps a prefix of it, as a journalled file system does.
type journal []change

// commit makes durable every change of dir, and every earlier change that one of
// those builds on: one that shares a directory with it, which only a rename
// across directories brings about. Changes of other directories stay pending.
// This is stricter than ext4, where one sync commits the whole journal, so it
// finds a sync of the parent directory that was forgotten.
func (j *journal) commit(dir *node) {
	dirs := []*node{dir}
	committed := make([]bool, len(*j))
	for i := len(*j) - 1; i >= 0; i-- {
		if c := (*j)[i]; c.touches(dirs) {
			committed[i] = true
			for _, e := range c {
				if !slices.Contains(dirs, e.dir) {
					dirs = append(dirs, e.dir)
				}
			}
		}
	}
	var rest journal
	for i, c := range *j {
		if !committed[i] {
			rest = append(rest, c)
			continue
		}
		for _, e := range c {
			setEntry(e.dir.kept, e.name, e.node)
		}
	}
	*j = rest
}

// forget drops the pending edits of one entry.
func (j *journal) forget(dir *node, name string) {
	var rest journal
	for _, c := range *j {
		c = slices.DeleteFunc(slices.Clone(c), func(e edit) bool { return e.dir == dir && e.name == name })
		if len(c) > 0 {
			rest = append(rest, c)
		}
	}
	*j = rest
}

func setEntry(entries map[string]*node, name string, n *node) {
	if n == nil {
		delete(entries, name)
	} else {
		entries[name] = n
	}
}
