package mutant
import ("testing";"os";"path/filepath";"fmt")
func TestZZ(t *testing.T) {
	root,_ := filepath.Abs("../..")
	ms, o, err := Generate(t.Context(), root, []string{"./engine/...","./server/...","./client"})
	if err != nil { t.Fatal(err) }
	n := map[string]int{}
	r := map[string]int{}
	for _, m := range ms { n[m.Room()]++; r[m.Rule]++ }
	fmt.Println(len(ms), n, r)
	dir := "/tmp/score-bin/gen"
	os.MkdirAll(dir, 0o755)
	if err := o.Build(t.Context(), root, "./cmd/statehouse-sim", dir, dir+"/sim"); err != nil { t.Fatal(err) }
}
