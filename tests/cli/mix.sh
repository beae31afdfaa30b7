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
expect 0 quantize "$F/model.gguf" out.gguf -m q2_k_s
says "1 q6_k"
is_type out.gguf blk.0.attn_q.weight q2_k
is_type out.gguf token_embd.weight q6_k
is_type out.gguf blk.0.ffn_gate_inp.weight f32
expect 0 quantize "$F/experts.gguf" out.gguf --mix mxfp4
is_type out.gguf blk.0.ffn_up_exps.weight mxfp4

# A mix of one type is that type, where nothing has a role.
expect 0 quantize "$F/whole.gguf" pure.gguf --type iq4_xs
expect 0 quantize "$F/whole.gguf" mixed.gguf --mix iq4_xs --threads 3
same pure.gguf mixed.gguf

mkdir left
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k
complains "there is no mix 'q4_k'"
complains "q4_k_m"
expect 2 quantize "$F/model.gguf" left/x.gguf --mix q4_k_m --type q4_k
expect 2 quantize "$F/model.gguf" left/x.gguf
expect 2 quantize "$F/model.gguf" left/x.gguf --mix iq2_xs
complains "needs importance weights"
empty left
