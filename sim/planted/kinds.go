package planted

// kinds are mistakes about values that are bytes, and about where a fork comes from, as askers of a world meet them. Both
// judges are asked about those that an answer shows.
func kinds() []Bug {
	const convert, acts = "server/wire/convert.go", "server/answer/acts.go"
	both := map[string]string{}
	return []Bug{
		{
			Name: "bytes-shown-as-an-object", Guarantee: "G3", About: "short bytes are answered as JSON to who asks for them as they are", Unseen: both,
			Edits: []Edit{{convert, "		if v.encoding == pb.ValueEncoding_VALUE_ENCODING_NATIVE {\n", "		if v.encoding == pb.ValueEncoding_VALUE_ENCODING_NATIVE && len(data) > 1 {\n"}},
		},
		{
			Name: "bytes-of-the-type-before", Guarantee: "G3", About: "a cache keeps the same bytes as they are, with the content type of the version before", Unseen: both,
			Edits: []Edit{{"engine/hot.go", "	h.put(s, prefix, rec)\n}\n\n// forget", "	if _, was, is := AsBytes(have.value); is && rec.exists {\n		if _, now, also := AsBytes(rec.value); also && string(was) == string(now) {\n			rec.value = have.value\n		}\n	}\n	h.put(s, prefix, rec)\n}\n\n// forget"}},
		},
		{
			Name: "object-taken-for-bytes", Guarantee: "G2", About: "JSON that looks as bytes are shown is stored as bytes", Unseen: both,
			Edits: []Edit{{convert, "	case !isStruct:\n		w.Value = text\n", "	case !isStruct:\n		var o struct {\n			Data []byte `json:\"$bytes\"`\n			Type string `json:\"$content_type\"`\n		}\n		if w.Value = text; json.Unmarshal(text, &o) == nil && o.Data != nil && o.Type != \"\" {\n			w.Value, w.Bytes, w.ContentType = o.Data, true, o.Type\n		}\n"}},
		},
		{
			Name: "lineage-misses-the-last", Guarantee: "G5", About: "a replay with lineage leaves out the parent's event that the fork was made at", Unseen: both,
			Edits: []Edit{{acts, "		last = min(last, of.ParentTS)\n", "		last = min(last, max(of.ParentTS, 1)-1)\n"}},
		},
		{
			Name: "lineage-doubles-the-last", Guarantee: "G5", About: "a replay with lineage begins what follows the fork with the event that it was made at", Unseen: both,
			Edits: []Edit{
				{acts, "		list = append([]stretch{{a, last}}, list...)\n", "		list = append([]stretch{{a, last}, {a, last}}, list...)\n"},
				{"server/answer/streams.go", "		cursor = max(cursor, of.last)\n", "		cursor = max(cursor, max(of.last, 1)-1)\n"},
			},
		},
		{
			Name: "lineage-goes-on-with-the-parent", Guarantee: "G5", About: "a replay with lineage shows what the parent did until the fork was made, though it is of an earlier commit", Unseen: both,
			Edits: []Edit{{acts, "		last = min(last, of.ParentTS)\n", "		last = min(last, of.CommitTS)\n"}},
		},
		{
			Name: "lineage-for-anyone", Guarantee: "G10", About: "a replay with lineage is let through for keys that may not read the namespace",
			Edits: []Edit{
				{"server/gate/rules.go", "	pb.StatehouseService_Replay_FullMethodName:            onIts(access.Read),\n", "	pb.StatehouseService_Replay_FullMethodName: func(may *asking, req any) error {\n		if req.(*pb.ReplayRequest).GetWithLineage() {\n			return nil\n		}\n		return onIts(access.Read)(may, req)\n	},\n"},
				{"server/gate/rules.go", "	pb.StatehouseService_ReplayBatches_FullMethodName:     onIts(access.Read),\n", "	pb.StatehouseService_ReplayBatches_FullMethodName: func(may *asking, req any) error {\n		if req.(*pb.ReplayRequest).GetWithLineage() {\n			return nil\n		}\n		return onIts(access.Read)(may, req)\n	},\n"},
			},
		},
		{
			Name: "fork-across-namespaces", Guarantee: "G10", About: "a fork of an agent of another namespace is not refused",
			Edits: []Edit{{acts, "namespaceOf(op.GetNamespace()); of != to {\n", "namespaceOf(op.GetNamespace()); of != to && to == \"\" {\n"}},
		},
	}
}
