# SPDX-License-Identifier: BSD-3-Clause
# suites.sh - `./run test`: builds plain and with sanitizers, runs the suites, adds up the counts.
#
# Order: fast ones first. Each suite writes JUnit XML to build/results; the last line printed is
# the sum. A suite's output is shown only when it fails.
ASAN_BUILD=$TOP/build-asan
# Suites of meson that are about TCP alone: `tcp` runs them one by one and says how much each holds,
# and fuzzes whatever is not the fabric's unless `fuzz` does. `unit` runs the others.
TCP_PARTS="tcpstack matrix packetdrill simulator differential"
RESULTS=$BUILD/results
SUITES="style unit tcp unit-asan fuzz replay config cli docs maps softhca tagsock lab fabric-faults lab-asan service vm"
# These only compute: they run at low priority beside what follows, which mostly waits.
BESIDE="fuzz"
# These mostly wait as well: one after the other, beside what follows, with a /run and thus labs of their own.
ASIDE="config cli docs maps"
OWN_RUN=()

suite_style() { run_pytest style tests/style; }
suite_unit() {
	# shellcheck disable=SC2046
	run_meson unit "$BUILD" $(printf -- '--no-suite %s ' $TCP_PARTS)
}
suite_unit_asan() { run_meson unit-asan "$ASAN_BUILD"; }
suite_softhca() { run_pytest softhca tests/lab/test_softhca.py; }
suite_tagsock() { run_pytest tagsock tests/lab/test_tagsock.py; }
suite_maps() { run_pytest maps tests/lab/test_maps.py; }
suite_replay() { TAG_DAEMONS=$ASAN_BUILD run_pytest replay tests/replay; }
suite_config() { run_pytest config tests/lab/test_config.py tests/lab/test_reload.py tests/lab/test_reload_first.py; }
suite_docs() { run_pytest docs tests/lab/test_examples.py; }
suite_cli() { run_pytest cli tests/lab/test_cli.py tests/lab/test_cli_policy.py; }
suite_lab() { run_pytest lab tests/lab -m 'not own_suite'; }
suite_fabric_faults() { run_pytest fabric-faults tests/lab/test_fabric_faults.py; }
suite_lab_asan() { TAG_DAEMONS=$ASAN_BUILD run_pytest lab-asan tests/lab -m 'asan'; }
suite_service() {
	# shellcheck disable=SC2086
	(need_packages $PACKAGES_SERVICE) || say "service: some packages cannot be had; the tests say what is missing"
	TAG_RESULTS=$RESULTS run_pytest service tests/lab/test_metrics.py tests/service --ignore tests/service/guest
}
suite_vm() {
	# shellcheck disable=SC2086
	(need_packages $PACKAGES_VM) || say "vm: some packages cannot be had; the tests say what is missing"
	run_pytest vm tests/vm
}

# The evidence for the TCP core, with counts.
suite_tcp() {
	local part status=0 t0
	for part in $TCP_PARTS; do
		t0=$SECONDS
		run_meson "tcp-$part" "$BUILD" --suite "$part" || status=1
		say "  $part: $(/usr/bin/python3 "$TOP/tests/counts.py" "$BUILD/meson-logs/testlog.json") ($((SECONDS - t0)) s)"
	done
	# shellcheck disable=SC2154 # of suites()
	[[ " $list " != *" fuzz "* ]] || return $status
	t0=$SECONDS
	# shellcheck disable=SC2046
	run_fuzz $(fuzz_names | grep -v '^fuzz_ib_') || status=1
	say "  fuzz: $(fuzz_names | grep -vc '^fuzz_ib_') targets, 10 s each ($((SECONDS - t0)) s)"
	return $status
}

# shellcheck disable=SC2046
suite_fuzz() { run_fuzz $(fuzz_names); }

fuzz_names() { (cd "$TOP/tests/fuzz" && ls fuzz_*.c | sed 's/\.c$//'); }

# run_fuzz NAME...: each fuzz target over its corpus and a bounded run from there, two at a time.
run_fuzz() {
	local dir=$TOP/build-fuzz name status=0 running=()
	# shellcheck disable=SC2086
	need_packages $PACKAGES_FUZZ
	CC=clang TARGETS=$(printf 'tests/fuzz/%s ' "$@") build "$dir" -Dfuzz=true -Db_lundef=false
	for name in "$@"; do
		fuzz_one "$dir/tests/fuzz/$name" "$TOP/tests/fuzz/corpus/${name#fuzz_}" &
		running+=($!)
		[ ${#running[@]} -lt 2 ] || { wait "${running[0]}" || status=1; running=("${running[@]:1}"); }
	done
	for name in "${running[@]}"; do wait "$name" || status=1; done
	return $status
}

# fuzz_one TARGET CORPUS: 10 seconds; writes a JUnit file of one case.
fuzz_one() {
	local name out verdict='' status=0 new
	name=$(basename "$1")
	new=$(mktemp -d)
	out=$RESULTS/$name.log
	"$1" -max_total_time=10 -rss_limit_mb=2048 -artifact_prefix="$RESULTS/" "$new" "$2" >"$out" 2>&1 || status=1
	rm -rf "$new"
	[ $status = 0 ] || { verdict='<failure/>'; tail -n 30 "$out"; }
	echo "<testsuite><testcase classname=\"fuzz\" name=\"$name\">$verdict</testcase></testsuite>" >"$RESULTS/fuzz-$name.xml"
	return $status
}

# run_meson NAME DIR ARGS...: the unit tests of a build directory.
run_meson() {
	local name=$1 dir=$2 status=0
	shift 2
	timeout 600 meson test -C "$dir" "$@" --no-rebuild --num-processes 2 >"$RESULTS/$name.log" 2>&1 || status=$?
	cp "$dir/meson-logs/testlog.junit.xml" "$RESULTS/$name.xml" 2>/dev/null || true
	[ $status = 0 ] || { tail -n 40 "$RESULTS/$name.log"; grep -B2 -A25 'stderr ---' "$dir/meson-logs/testlog.txt" | tail -n 60; }
	return $status
}

# run_pytest NAME ARGS...: a set of Python tests. What a failed one leaves behind is kept.
run_pytest() {
	local name=$1 status=0 left
	shift
	left=$(mktemp -d "/tmp/pytest-tagd-$name-XXXXXX")
	(cd "$TOP" && TAG_TOP=$TOP TAG_BUILD=$BUILD "${OWN_RUN[@]}" timeout 1500 /usr/bin/python3 -m pytest -q -x --maxfail=5 \
		-p no:cacheprovider --basetemp="$left" --junitxml="$RESULTS/$name.xml" "$@") >"$RESULTS/$name.log" 2>&1 || status=$?
	if [ $status = 0 ]; then
		rm -rf "$left"
	else
		tail -n 60 "$RESULTS/$name.log"
		say "kept: $left"
	fi
	return $status
}

# run_suite NAME: with what it says about itself. Its status is the suite's.
run_suite() {
	local s=$1 t0=$SECONDS
	if "suite_${s//-/_}"; then
		say "$s: ok ($((SECONDS - t0)) s)"
		return 0
	fi
	say "$s: FAILED ($((SECONDS - t0)) s), see $RESULTS/$s.log"
	[ -s "$RESULTS/$s.xml" ] || echo "$s" >>"$RESULTS/crashed"
	return 1
}

# run_aside SUITE...: with namespaces and sockets that nobody else sees.
run_aside() {
	local s status=0
	OWN_RUN=(unshare -m sh -c 'mount -t tmpfs tmpfs /run && mkdir /run/lock && exec "$@"' sh)
	for s in "$@"; do
		run_suite "$s" || status=1
	done
	return $status
}

suites() {
	if [ "${1:-}" = --list ]; then
		echo "$SUITES"
		return 0
	fi
	local list=${*:-$SUITES} s status=0
	for s in $list; do
		[[ " $SUITES " == *" $s "* ]] || die "no such suite: $s (there are: $SUITES)"
	done
	build "$BUILD" --werror
	case " $list " in
	*asan* | *" replay "*) build "$ASAN_BUILD" --werror -Db_sanitize=address,undefined -Db_lundef=false ;;
	esac
	rm -rf "$RESULTS"
	mkdir -p "$RESULTS"
	local beside=() aside=() i
	for s in $list; do
		[[ " $ASIDE " != *" $s "* ]] || aside+=("$s")
	done
	for s in $list; do
		if [[ " $BESIDE " == *" $s "* ]]; then
			(renice -n 19 $BASHPID >/dev/null && run_suite "$s" >"$RESULTS/$s.out" 2>&1) &
			beside+=("$!:$s")
		elif [ "$s" = "${aside[0]:-}" ]; then
			run_aside "${aside[@]}" >"$RESULTS/aside.out" 2>&1 &
			beside+=("$!:aside")
		elif [[ " $ASIDE " == *" $s "* ]]; then
			: # begun with the first of them
		else
			run_suite "$s" || status=1
		fi
	done
	for i in "${beside[@]}"; do
		wait "${i%%:*}" || status=1
		cat "$RESULTS/${i#*:}.out" >&2
	done
	/usr/bin/python3 "$TOP/tests/tally.py" "$RESULTS"
	return $status
}
