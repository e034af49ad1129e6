"""What is worked out beside a search: a plan and a preview before it, redundancy after it."""
