"""One run of one task: its place in the graph, its journal, its stop."""
