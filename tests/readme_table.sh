#!/usr/bin/env bash
# Whether the README's table of variables is what the program prints: tests/readme_table.sh PROGRAM
# With --write it is put there.
set -eu
cd "$(dirname "$0")/.."
write=false
[ "$1" = --write ] && { write=true; shift; }
wanted=$(mktemp)
found=$(mktemp)
trap 'rm -f "$wanted" "$found"' EXIT

begin='<!-- variables: made by tests/readme_table.sh --write -->'
end='<!-- end of variables -->'
"$1" config --markdown >"$wanted"
[ -s "$wanted" ] || { echo "'$1 config --markdown' prints nothing"; exit 1; }
grep -qxF -- "$begin" README.md && grep -qxF -- "$end" README.md || { echo "README.md lacks '$begin' or '$end'"; exit 1; }
if $write; then
	awk -v begin="$begin" -v end="$end" -v table="$wanted" '
		$0 == end { skip = 0 }
		!skip { print }
		$0 == begin { skip = 1; while ((getline line < table) > 0) print line }' README.md >"$found"
	cat "$found" >README.md
	exit
fi
awk -v begin="$begin" -v end="$end" '$0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' README.md >"$found"
diff -u "$found" "$wanted" || { echo "README.md differs from the program: tests/readme_table.sh --write PROGRAM"; exit 1; }
