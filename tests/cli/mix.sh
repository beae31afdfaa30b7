. "${0%/*}/lib.sh"

# Each matrix has the type that the mix has for its role, and the rest is as with --type.
expect 0 quantize "$F/llama.gguf" out.gguf --mix q4_k_m
says "the mix q4_k_m"
says "rows that are not whole blocks"
is_type out.gguf blk.0.attn_q.weight q5_0
is_type out.gguf output.weight q8_0
is_type out.gguf blk.0.attn_norm.weight f32
expect 0 inspect out.gguf
grep -qE '^general.file_type +uint32 +15$' out || fail "the file type is not that of the mix"
expect 0 quantize "$F/model.gguf" out.gguf -m q2_k_s --force
says "1 q6_k"
says "without importance weights that they need: 2"
is_type out.gguf blk.0.attn_q.weight q2_k
is_type out.gguf token_embd.weight q6_k
is_type out.gguf blk.0.ffn_gate_inp.weight f32
expect 0 quantize "$F/experts.gguf" out.gguf --mix mxfp4
is_type out.gguf blk.0.ffn_up_exps.weight mxfp4

# A mix of one type is that type, where nothing has a role.
expect 0 quantize "$F/whole.gguf" pure.gguf --type iq4_xs
expect 0 quantize "$F/whole.gguf" mixed.gguf --mix iq4_xs --threads 3
same pure.gguf mixed.gguf

# The names that llama.cpp has beside them, in any case; floats are a mix, too.
expect 0 quantize "$F/llama.gguf" q4.gguf --mix Q4_K
expect 0 quantize "$F/llama.gguf" q4_m.gguf --mix q4_k_m
same q4.gguf q4_m.gguf
expect 0 quantize "$F/model.gguf" out.gguf --mix bf16
is_type out.gguf token_embd.weight bf16

# Types for tensors that an option names: the first pattern that matches, the ends of a model by their own options. What
# is not named has the type that it has without.
expect 0 quantize "$F/llama.gguf" out.gguf --mix q4_k_m --tensor-type 'blk\.0\.attn_v=f16' --tensor-type 'attn_[vk]=Q8_0' \
  --output-tensor-type q4_1 --token-embedding-type bf16
is_type out.gguf blk.0.attn_v.weight f16
is_type out.gguf blk.1.attn_v.weight q8_0
is_type out.gguf blk.0.attn_k.weight q8_0
is_type out.gguf output.weight q4_1
is_type out.gguf token_embd.weight bf16
expect 0 inspect q4_m.gguf
grep ffn_down out | awk '{ print $1, $2 }' >ffn_down
expect 0 quantize "$F/llama.gguf" out.gguf --mix q4_k_m --tensor-type 'blk.0.ffn_down=f16'
expect 0 inspect out.gguf
grep -c f16 out >/dev/null || fail "no tensor is f16"
grep 'blk.1.ffn_down' out | awk '{ print $1, $2 }' | grep -qxFf - ffn_down || fail "another tensor's type moved"
# A pattern may hold the sign itself; rows that are not whole blocks fall back here, too.
expect 0 quantize "$F/llama.gguf" out.gguf --type q8_0 --tensor-type '(?=blk)blk.0.attn_q=q6_k'
says "rows that are not whole blocks"
is_type out.gguf blk.0.attn_q.weight q8_0
# The embedding of a model without an output is its output.
expect 0 quantize "$F/model.gguf" out.gguf --mix q4_k_m --output-tensor-type q5_0
is_type out.gguf token_embd.weight q5_0
expect 0 quantize "$F/model.gguf" out.gguf --type q4_k --output-tensor-type q5_0
is_type out.gguf token_embd.weight q5_0
expect 0 quantize "$F/model.gguf" out.gguf --mix q4_k_m --pure
says "the mix q4_k_m, pure"
is_type out.gguf token_embd.weight q4_k

# A plan, and nothing else.
mkdir plan
for where in "" plan/x.gguf; do
  expect 0 quantize "$F/model.gguf" $where --mix iq2_xs --dry-run
  grep -qE '^blk.0.attn_q.weight +512 x 24 +f32 +iq2_xs +3,552$' out || fail "no line for attn_q"
  grep -qE '^blk.0.attn_norm.weight +256 +f32 +1,024$' out || fail "no line for attn_norm"
  says "2 of them need importance weights"
done
empty plan

# A split set stays one: the first file has the metadata, and all appear or none.
for name in kept.gguf kept kept-00002-of-00002.gguf; do
  rm -f kept*
  expect 0 quantize "$F/split-00002-of-00002.gguf" $name --type q4_k --keep-split
  says "kept-00001-of-00002.gguf and 1 more"
  [ "$(ls kept*)" = $'kept-00001-of-00002.gguf\nkept-00002-of-00002.gguf' ] || fail "$(ls kept*)"
done
expect 0 quantize "$F/whole.gguf" whole.gguf --type q4_k
same_weights whole.gguf kept-00001-of-00002.gguf
expect 0 inspect kept-00002-of-00002.gguf --json
json /metadata/1/key general.quantization_version
for broken in 1 2; do
  mkdir -p held/held-0000$broken-of-00002.gguf
  expect 2 quantize "$F/split-00001-of-00002.gguf" held/held.gguf --type q4_k --keep-split
  rmdir held/held-0000$broken-of-00002.gguf
  empty held
done
expect 0 quantize "$F/whole.gguf" alone.gguf --type q4_k --keep-split
same whole.gguf alone.gguf

mkdir left
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_x
complains "there is no mix 'q4_k_x'"
complains "q4_k_m"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --type q4_k
expect 2 quantize "$F/model.gguf" left/x.gguf
expect 2 quantize "$F/model.gguf" left/x.gguf --mix iq2_xs
complains "tensor 'blk.0.attn_q.weight': iq2_xs needs importance weights"
complains "--force"
# As llama-quantize does; both ends of a model are never the reason.
for type in iq1_s iq1_m iq2_xxs iq2_xs iq2_s iq2_m iq3_xxs iq3_xs q2_k_s; do
  expect 2 quantize "$F/llama256.gguf" left/x.gguf --mix $type
  complains "needs importance weights, and there are none for it"
  expect 0 quantize "$F/llama256.gguf" forced.gguf --mix $type --force
done
for type in iq3_s iq3_m iq4_xs q2_k tq1_0; do expect 0 quantize "$F/llama256.gguf" forced.gguf --mix $type; done
# A type alone is not a mix: it stops at the ends, too, and says what would not.
expect 2 quantize "$F/model.gguf" left/x.gguf --type iq2_xxs --imatrix "$F/q.dat"
complains "tensor 'token_embd.weight': iq2_xxs needs importance weights"
complains "--mix iq2_xxs"
complains "--exclude '^token_embd\.weight$'"
expect 2 quantize "$F/model.gguf" left/x.gguf --type iq3_xxs
complains "tensor 'blk.0.attn_q.weight': iq3_xxs needs"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --tensor-type attn_q
complains "REGEX=TYPE"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --tensor-type 'attn_q=q9_9'
complains "'q9_9'"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --tensor-type '(=q8_0'
complains "regular expression"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --tensor-type 'attn_norm=q8_0'
complains "--tensor-type 'attn_norm=q8_0': no matrix"
expect 2 quantize "$F/llama.gguf" left/x.gguf --type q4_k --output-tensor-type mxfp6_e2m3
complains "GGUF has no type id"
expect 2 quantize "$F/whole.gguf" left/x.gguf --type q4_k --output-tensor-type q8_0
complains "--output-tensor-type 'q8_0': no matrix"
expect 2 quantize "$F/whole.gguf" left/x.gguf --type q4_k --token-embedding-type q8_0
complains "--token-embedding-type 'q8_0': no matrix"
expect 2 quantize "$F/model.gguf" --type q4_k
complains "OUT"
empty left
