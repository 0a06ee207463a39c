# SPDX-License-Identifier: Apache-2.0
#
# Counts single results in what `ctest -V` printed, as "passed failed". A test
# counts as the results that it printed; as one, when it printed none; and as
# one failure more, when it failed although every result was fine (a crash, a
# sanitizer's finding at exit, a timeout).
#
#   7: ok 1 - name          cmocka (TAP) and lunex-spec; "# SKIP" is neither
#   7: test_x (...) ... ok  unittest
#    7/12 Test  #7: core/buf ......   Passed    0.01 sec

/^[0-9]+: / {
	id = $1 + 0
	line = substr($0, index($0, ": ") + 2)
	if (line ~ /# SKIP/)
		next
	if (line ~ /^ok [0-9]/ || line ~ /(^|\.\.\. )ok$/)
		good[id]++
	else if (line ~ /^not ok [0-9]/ || line ~ /(^|\.\.\. )(FAIL|ERROR)$/)
		bad[id]++
	next
}

/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: / {
	id = $0
	sub(/.*Test +#/, "", id)
	id += 0
	ran++
	if ($0 ~ / Passed +[0-9.]+ sec$/)
		failed = 0
	else
		failed = 1
	if (failed && !bad[id])
		bad[id] = 1
	if (!failed && !good[id] && !bad[id])
		good[id] = 1
	passes += good[id]
	failures += bad[id]
}

END {
	if (!ran)
		failures++
	printf "%d %d\n", passes, failures
}
