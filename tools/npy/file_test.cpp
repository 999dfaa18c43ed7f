#include "tools/npy/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace eyrie::npy {
namespace {

class FileTest : public testing::Test {
 protected:
  FileTest() : folder_(testing::TempDir() + "file_test" + std::to_string(getpid())) {
    std::filesystem::create_directory(folder_);
  }
  ~FileTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const char* name) const { return folder_ + "/" + name; }
  size_t FileCount() const {
    auto files = std::filesystem::directory_iterator(folder_);
    return static_cast<size_t>(std::distance(begin(files), end(files)));
  }
  static std::string Read(const std::string& path) {
    Bytes bytes;
    std::string error;
    if (!ReadFile(path, &bytes, &error)) return error;
    return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  static void Write(const std::string& path, const std::string& text) {
    OutputFile file;
    ASSERT_TRUE(file.Open(path) && file.Write(text.data(), text.size()) && file.Commit()) << file.error();
  }

  std::string folder_;
};

TEST_F(FileTest, NothingIsSeenBeforeTheCommit) {
  Write(Path("a"), "old");
  {
    OutputFile file;
    ASSERT_TRUE(file.Open(Path("a")) && file.Write("new", 3)) << file.error();
    EXPECT_EQ(Read(Path("a")), "old");
    EXPECT_EQ(FileCount(), 1u);
  }
  EXPECT_EQ(Read(Path("a")), "old");
  Write(Path("a"), "newer");
  EXPECT_EQ(Read(Path("a")), "newer");
  EXPECT_EQ(FileCount(), 1u);
}

TEST_F(FileTest, WhatCannotBeWrittenIsNamed) {
  OutputFile folder, missing, full;
  EXPECT_FALSE(folder.Open(folder_));
  EXPECT_EQ(folder.error(), "cannot write '" + folder_ + "': Is a directory");
  EXPECT_FALSE(missing.Open(Path("none/a")));
  EXPECT_EQ(missing.error(), "cannot write '" + Path("none/a") + "': No such file or directory");
  ASSERT_TRUE(full.Open("/dev/full"));
  EXPECT_FALSE(full.Write("x", 1));
  EXPECT_FALSE(full.Commit());
  EXPECT_EQ(full.error(), "cannot write '/dev/full': No space left on device");
}

TEST_F(FileTest, WhatCannotBeReadIsNamed) {
  EXPECT_EQ(Read(folder_), "cannot read '" + folder_ + "': it is a directory");
  EXPECT_EQ(Read(Path("none")), "cannot read '" + Path("none") + "': No such file or directory");
  EXPECT_EQ(Read("/dev/zero"), "cannot read '/dev/zero': it is not a regular file");
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0666), 0);
  EXPECT_EQ(Read(Path("pipe")), "cannot read '" + Path("pipe") + "': it is not a regular file");
}

TEST_F(FileTest, AFullDiskLeavesTheOldFile) {
  Write(Path("a"), "old");
  signal(SIGXFSZ, SIG_IGN);
  rlimit before, small = {4096, 4096};
  getrlimit(RLIMIT_FSIZE, &before);
  small.rlim_max = before.rlim_max;
  setrlimit(RLIMIT_FSIZE, &small);
  {
    OutputFile file;
    std::string large(8192, 'x');
    ASSERT_TRUE(file.Open(Path("a")));
    EXPECT_FALSE(file.Write(large.data(), large.size()));
    EXPECT_EQ(file.error(), "cannot write '" + Path("a") + "': File too large");
  }
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(Read(Path("a")), "old");
  EXPECT_EQ(FileCount(), 1u);
}

}  // namespace
}  // namespace eyrie::npy
