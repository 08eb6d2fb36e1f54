package sqldb_test

// childRole names the variable that makes the test's binary play another process.
const childRole = "SQLDB_TEST_CHILD"

func childMain(role string) int { return 2 }
