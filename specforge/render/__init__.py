"""Pure views: plan, diagnostics, result, graph as text and JSON."""
