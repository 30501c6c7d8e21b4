"""The judgement on the transactions of a block, and what the valid ones change."""
