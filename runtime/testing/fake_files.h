// A folder of made-up files, in place of /proc or /sys.
#ifndef EYRIE_RUNTIME_TESTING_FAKE_FILES_H_
#define EYRIE_RUNTIME_TESTING_FAKE_FILES_H_

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace eyrie::rt::testing {

// A fixture whose folder goes with the test.
class FakeFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/eyrie_files_XXXXXX";
    ASSERT_NE(mkdtemp(path), nullptr);
    root = path;
  }
  void TearDown() override { ASSERT_EQ(system(("rm -r " + root).c_str()), 0); }
  // Makes the folders on the way to the file.
  void Write(const std::string& path, const std::string& text) {
    for (size_t at = root.size() + 1; (at = (root + "/" + path).find('/', at)) != std::string::npos; ++at)
      mkdir((root + "/" + path).substr(0, at).c_str(), 0777);
    FILE* file = fopen((root + "/" + path).c_str(), "w");
    ASSERT_NE(file, nullptr);
    fputs(text.c_str(), file);
    fclose(file);
  }

  std::string root;
};

}  // namespace eyrie::rt::testing

#endif  // EYRIE_RUNTIME_TESTING_FAKE_FILES_H_
