"""Where: executors perform steps and answer queries. They know no kind, no plan and no state."""
