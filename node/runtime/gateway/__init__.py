"""The gateway: calls of applications carried to endorsers, orderers and the ledger."""
