float first_weight(const unsigned char* bytes);

int main() {
  const unsigned char block[18] = {0x00, 0x3c};  // a scale of 1, codes of 0
  return first_weight(block) == -8.0f ? 0 : 1;
}
