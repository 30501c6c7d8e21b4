"""The program chaincode: an interpreter that does to the ledger what its argument says."""
