/* A compiler that does what the model file says: for tests of `eyrie compile` that no real compiler can be brought to.
 * The file's first word: good, bad, warn, crash, abort, silent (fails without a reason), killed, sleep (writes half of
 * the output first). */
#include <eyrie/compiler.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const eyrie_option_info_t options[] = {
    {"cpu", EYRIE_OPTION_STRING, 0, "CPU", "native", "The processor"},
    {"opt-level", EYRIE_OPTION_LEVEL, 'O', "LEVEL", "3", "How much to optimise"},
    {"shape", EYRIE_OPTION_SHAPE, 0, "NAME=DIMS", "", "A shape"},
    {"time", EYRIE_OPTION_FLAG, 0, "", "false", "A table"},
};
static const eyrie_stage_info_t stages[] = {{"import", "reads"}, {"target", "compiles"}};

struct eyrie_compile {
  char text[4096];
  char message[8192];
  eyrie_progress_t progress;
  void* user;
};

const char* eyrie_compiler_version(void) { return "fake"; }
const eyrie_option_info_t* eyrie_compiler_option(size_t index) { return index < 4 ? &options[index] : NULL; }
const char* eyrie_compiler_alternative(const char* target, size_t index) {
  (void)target, (void)index;
  return NULL;
}

const eyrie_stage_info_t* eyrie_compiler_stage(size_t index) { return index < 2 ? &stages[index] : NULL; }
eyrie_compile_t* eyrie_compile_create(void) { return calloc(1, sizeof(eyrie_compile_t)); }
void eyrie_compile_destroy(eyrie_compile_t* job) { free(job); }
const char* eyrie_compile_message(const eyrie_compile_t* job) { return job->message; }
const char* eyrie_compile_report(const eyrie_compile_t* job) {
  (void)job;
  return "";
}

eyrie_compile_result_t eyrie_compile_set(eyrie_compile_t* job, const char* option, const char* value) {
  size_t used = strlen(job->text);
  snprintf(job->text + used, sizeof(job->text) - used, "%s=%s\n", option, value);
  if (strcmp(value, "wrong") != 0) return EYRIE_COMPILE_OK;
  snprintf(job->message, sizeof(job->message), "option '%s' cannot be '%s'", option, value);
  return EYRIE_COMPILE_USAGE;
}

eyrie_compile_result_t eyrie_compile_check(eyrie_compile_t* job) {
  if (strstr(job->text, "cpu=abacus") == NULL) return EYRIE_COMPILE_OK;
  snprintf(job->message, sizeof(job->message), "there is no processor 'abacus'");
  return EYRIE_COMPILE_USAGE;
}

eyrie_compile_result_t eyrie_compile_add(eyrie_compile_t* job, const char* model, const char* function) {
  (void)job, (void)model, (void)function;
  return EYRIE_COMPILE_OK;
}

eyrie_compile_result_t eyrie_compile_add_expansion(eyrie_compile_t* job, const char* domain, const char* name,
                                                   eyrie_expand_t expand, void* user) {
  (void)job, (void)domain, (void)name, (void)expand, (void)user;
  return EYRIE_COMPILE_OK;
}

void eyrie_expansion_give(eyrie_expansion_t* answer, const void* function, size_t size) {
  (void)answer, (void)function, (void)size;
}

void eyrie_expansion_fail(eyrie_expansion_t* answer, const char* text) { (void)answer, (void)text; }

void eyrie_compile_on_progress(eyrie_compile_t* job, eyrie_progress_t progress, void* user) {
  job->progress = progress;
  job->user = user;
}

eyrie_compile_result_t eyrie_compile_run(eyrie_compile_t* job, const char* model, const char* output) {
  char word[32] = "";
  FILE* file = fopen(model, "r");
  if (file == NULL || fscanf(file, "%31s", word) != 1) return EYRIE_COMPILE_FAILED;
  fclose(file);
  job->progress(job->user, "import", 0, 2);
  job->progress(job->user, "target", 1, 2);
  file = fopen(output, "w");
  if (file == NULL) return EYRIE_COMPILE_FAILED;
  fprintf(file, "module\n%s", job->text);
  fclose(file);
  if (strcmp(word, "crash") == 0) raise(SIGSEGV);
  if (strcmp(word, "killed") == 0) raise(SIGKILL);
  if (strcmp(word, "abort") == 0) {
    fprintf(stderr, "first line\nAssertion `x' failed.\n");
    abort();
  }
  if (strcmp(word, "sleep") == 0) sleep(60);
  if (strcmp(word, "warn") == 0) snprintf(job->message, sizeof(job->message), "warning: odd");
  if (strcmp(word, "bad") == 0)
    snprintf(job->message, sizeof(job->message), "node 'a': wrong\nnode 'b': cannot write '%s'", output);
  return strcmp(word, "bad") == 0 || strcmp(word, "silent") == 0 ? EYRIE_COMPILE_FAILED : EYRIE_COMPILE_OK;
}

eyrie_compile_result_t eyrie_compile_estimate(eyrie_compile_t* job, const char* model) {
  return eyrie_compile_run(job, model, "/dev/null");
}
