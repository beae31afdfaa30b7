. "${0%/*}/lib.sh"

# Both kinds of importance file say the same, change what they name and nothing else.
expect 0 quantize "$F/model.gguf" plain.gguf -t q4_k
expect 0 quantize "$F/model.gguf" dat.gguf -t q4_k --importance "$F/q.dat"
says "importance weights for 1 of them"
expect 0 quantize "$F/model.gguf" gguf.gguf -t q4_k --importance "$F/q.imatrix.gguf" --threads 3
same_weights dat.gguf gguf.gguf
other_weights plain.gguf dat.gguf
expect 0 diff plain.gguf dat.gguf
grep -qE '^blk.1.attn_q.weight .* exact' out || fail "a tensor without weights changed"
grep -qE '^blk.0.attn_q.weight .* exact' out && fail "a tensor with weights did not change"

# Formats without a use for weights are quantized without.
expect 0 quantize "$F/model.gguf" plain.gguf -t q8_0
expect 0 quantize "$F/model.gguf" dat.gguf -t q8_0 --importance "$F/q.dat"
same_weights plain.gguf dat.gguf

# What llama-quantize notes about them.
expect 0 inspect gguf.gguf --json
json /metadata/4/key quantize.imatrix.file
json /metadata/4/value "$F/q.imatrix.gguf"
json /metadata/5/key quantize.imatrix.dataset
json /metadata/5/value text
json /metadata/6/key quantize.imatrix.entries_count
json /metadata/6/value 1
json /metadata/7/key quantize.imatrix.chunks_count
json /metadata/7/value 3
json /metadata/7/type uint32
expect 0 quantize "$F/model.gguf" out.gguf -t q4_k --importance "$F/q.dat"
expect 0 inspect out.gguf
grep -qE '^quantize.imatrix.chunks_count +uint32 +2$' out || fail "not the chunks of the .dat"
hushes quantize.imatrix.nothing

# A stack of experts has weights for each of them.
expect 0 quantize "$F/experts.gguf" plain.gguf -t q4_k
expect 0 quantize "$F/experts.gguf" dat.gguf -t q4_k --importance "$F/experts.dat"
expect 0 quantize "$F/experts.gguf" gguf.gguf -t q4_k --importance "$F/experts.imatrix.gguf" --threads 7
same_weights dat.gguf gguf.gguf
other_weights plain.gguf dat.gguf

# An expert that was never asked, and one count for all experts.
expect 0 quantize "$F/experts.gguf" some.gguf -t q4_k --importance "$F/experts_some.imatrix.gguf"
expect 0 quantize "$F/experts.gguf" one.gguf -t q4_k --importance "$F/experts_one.imatrix.gguf"
other_weights some.gguf gguf.gguf
same_weights one.gguf gguf.gguf

# Columns weigh what the file says, however little, unless a least weight is asked for.
expect 0 quantize "$F/model.gguf" small.gguf -t q4_0 --importance "$F/small.imatrix.gguf"
expect 0 quantize "$F/model.gguf" least.gguf -t q4_0 --importance "$F/small.imatrix.gguf" --least-importance 1e-2
other_weights small.gguf least.gguf
expect 0 quantize "$F/model.gguf" none.gguf -t q4_0 --importance "$F/small.imatrix.gguf" --least-importance 0
same_weights small.gguf none.gguf

# What does not fit is refused, and what is not a number.
mkdir left
expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance "$F/poison.dat"
complains "'blk.0.attn_q.weight' has a number that is negative or not finite"
expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance "$F/short.dat"
complains "blk.0.attn_q.weight"
complains "needs 512"
expect 2 quantize "$F/experts.gguf" left/x.gguf -t q4_k --importance "$F/experts_short.dat"
complains "3 matrices"
expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance "$F/stranger.dat"
complains "no weights for any tensor"
expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance "$F/model.gguf"
complains "in_sum2"
expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance missing.dat
complains "missing.dat"
size=$(wc -c <"$F/q.dat")
for cut in 0 3 7 20 35 100 $((size - 30)); do
  head -c $cut "$F/q.dat" >cut.dat
  expect 2 quantize "$F/model.gguf" left/x.gguf -t q4_k --importance cut.dat
  complains "cut.dat"
done
empty left
