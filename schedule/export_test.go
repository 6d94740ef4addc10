package schedule

// What tests of package schedule_test need from inside.
var CountDrifted = countDrifted
