#include "io/npy.h"

#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files.h"

namespace tessera {
namespace {
namespace fs = std::filesystem;

constexpr std::string_view kMagic = "\x93NUMPY";

/// A cursor over the header, which is a Python dictionary: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }
class Header {
 public:
  Header(std::string_view text, std::string where) : text_(text), where_(std::move(where)) { parse(); }
  const std::string& descr() const { return *descr_; }
  bool fortran() const { return *fortran_; }
  const std::vector<int64_t>& shape() const { return *shape_; }

 private:
  [[noreturn]] void fail() const {
    throw Error("has a header that is not understood", where_, "write it again by numpy.save");
  }

  bool take(std::string_view word) {
    while (text_.starts_with(' ') || text_.starts_with('\n')) text_.remove_prefix(1);
    if (!text_.starts_with(word)) return false;
    text_.remove_prefix(word.size());
    return true;
  }
  void need(std::string_view word) {
    if (!take(word)) fail();
  }

  std::string string() {
    need("'");
    const size_t end = text_.find('\'');
    if (end == std::string_view::npos) fail();
    const std::string word(text_.substr(0, end));
    text_.remove_prefix(end + 1);
    return word;
  }

  int64_t integer() {
    take("");
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, text_[digits] - '0', &value))
        fail();
    }
    if (digits == 0) fail();
    text_.remove_prefix(digits);
    return value;
  }

  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    need("(");
    while (!take(")")) {
      values.push_back(integer());
      if (values.size() > 64) fail();
      if (!take(",") && !text_.starts_with(')')) fail();
    }
    return values;
  }

  void field() {
    const std::string key = string();
    need(":");
    if (key == "descr" && !descr_) {
      descr_ = string();
    } else if (key == "fortran_order" && !fortran_) {
      fortran_ = take("True");
      if (!*fortran_) need("False");
    } else if (key == "shape" && !shape_) {
      shape_ = tuple();
    } else {
      fail();
    }
  }

  void parse() {
    need("{");
    while (!take("}")) {
      field();
      if (!take(",") && !text_.starts_with('}')) fail();
    }
    take("");
    if (!text_.empty() || !descr_ || !fortran_ || !shape_) fail();
  }

  std::string_view text_;
  std::string where_;
  std::optional<std::string> descr_;
  std::optional<bool> fortran_;
  std::optional<std::vector<int64_t>> shape_;
};

/// Splits a file into header text and data.
std::pair<std::string_view, std::string_view> split(std::string_view file, const std::string& where) {
  if (!file.starts_with(kMagic)) throw Error("is not a NumPy array", where, "give a file of numpy.save");
  const auto byte = [&](size_t i) { return static_cast<size_t>(static_cast<unsigned char>(file[i])); };
  const size_t length_bytes = file.size() > 6 && byte(6) == 1 ? 2 : 4;  // versions 2 and 3 have the longer field
  const size_t start = 8 + length_bytes;
  if (file.size() < start) throw Error("is cut off in its header", where, "fetch it again");
  if (byte(6) < 1 || byte(6) > 3) throw Error("has the unknown version " + std::to_string(byte(6)), where);
  size_t length = 0;
  for (size_t i = length_bytes; i-- > 0;) length = length << 8 | byte(8 + i);
  if (length > file.size() - start) throw Error("is cut off in its header", where, "fetch it again");
  return {file.substr(start, length), file.substr(start + length)};
}

size_t needed_bytes(const std::vector<int64_t>& shape, size_t element, const std::string& where) {
  int64_t bytes = static_cast<int64_t>(element);
  bool empty = false;
  for (const int64_t extent : shape) {
    empty = empty || extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bytes, extent, &bytes)) throw Error("has a shape that overflows", where);
  }
  return empty ? 0 : static_cast<size_t>(bytes);
}

std::string header(const torch::Tensor& x) {
  std::string text = std::string("{'descr': '") + (x.scalar_type() == torch::kFloat32 ? "<f4" : "<i8") +
                     "', 'fortran_order': False, 'shape': (";
  for (int64_t i = 0; i < x.dim(); ++i) text += (i ? ", " : "") + std::to_string(x.size(i));
  text += x.dim() == 1 ? ",), }" : "), }";
  const size_t before = kMagic.size() + 4;  // NumPy aligns the data to 64 bytes, for mapping
  text.append(63 - (before + text.size()) % 64, ' ');
  return text + '\n';
}

}  // namespace

void save_npy(const fs::path& path, const torch::Tensor& tensor) {
  const bool known =
      tensor.defined() && (tensor.scalar_type() == torch::kFloat32 || tensor.scalar_type() == torch::kInt64);
  if (!known) throw Error("only float32 and int64 tensors are written as .npy", path.string(), "convert the tensor");
  const torch::Tensor data = tensor.detach().cpu().resolve_neg().contiguous();
  const std::string text = header(data);
  AtomicFile file(path);
  file.write(kMagic);
  file.write(std::string{'\x01', '\x00', static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)});
  file.write(text);
  file.write(data.data_ptr(), static_cast<size_t>(data.numel()) * data.element_size());
  file.commit();
}

torch::Tensor load_npy(const fs::path& path) {
  const std::string where = path.string(), file = read_file(path);
  const auto [text, bytes] = split(file, where);
  const Header header(text, where);
  const bool floats = header.descr() == "<f4";
  if (!floats && header.descr() != "<i8") {
    throw Error("holds '" + header.descr().substr(0, 40) + "', not float32 or int64", where, "convert it by astype");
  }
  if (header.fortran()) throw Error("is in Fortran order", where, "write it after numpy.ascontiguousarray");
  const size_t needed = needed_bytes(header.shape(), floats ? 4 : 8, where);
  if (needed != bytes.size()) {
    throw Error("has " + std::to_string(bytes.size()) + " bytes of data, its shape needs " + std::to_string(needed),
                where, "fetch it again");
  }
  torch::Tensor tensor = torch::empty(header.shape(), floats ? torch::kFloat32 : torch::kInt64);
  if (needed > 0) std::memcpy(tensor.data_ptr(), bytes.data(), needed);
  return tensor;
}

}  // namespace tessera
