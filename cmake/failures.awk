# SPDX-License-Identifier: Apache-2.0
# awk -f cmake/failures.awk LOG LOG: of what `ctest -V` printed, the output of
# the tests that failed.

NR == FNR {
	if ($0 ~ /^ *[0-9]+\/[0-9]+ Test +#/ && $0 !~ / Passed +[0-9.]+ sec$/) {
		id = $0
		sub(/.*Test +#/, "", id)
		failed[id + 0] = 1
	}
	next
}

/^[0-9]+: / && failed[$1 + 0] && !/: Test (command|timeout)/
/^ *[0-9]+\/[0-9]+ Test +#/ {
	id = $0
	sub(/.*Test +#/, "", id)
	if (failed[id + 0])
		print
}
