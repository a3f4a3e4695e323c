"""What the commands do: parse, call, render."""
