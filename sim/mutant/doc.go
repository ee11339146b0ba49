// Package mutant makes programs that hold many mistakes, of which one is on at a time: mutant
// schemata (Untch, Offutt and Harrold, "Mutation analysis using mutant schemata", 1993). A
// build takes longer than the runs that show most mistakes, so a build for each would be
// nearly all of the work.
//
// The mistakes are in an Overlay, source text that is laid over the repository while it is
// built. The code itself has nothing of them. Where the overlay asks which one is on, it asks
// package toggle, which reads that from the environment when the process starts.
//
// They come from two places. Combine takes variants, mistakes that somebody wrote down as
// text (sim/planted), and gives each function that they change a copy for each. Generate
// makes mutants by rule, as many as the rules find places for: see rules.go for what they
// are, and why those.
//
// # Why not a tool that there is
//
// The mutants are judged by the simulator, and by tests only beside it. gremlins and
// go-mutesting build once for each mutant; go-mutants has schemata, but knows no other judge
// than "go test". What is left to do oneself with those is all but the rules.
package mutant
