/* Loads a SavedModel with TensorFlow's own C library, and runs one function on raw floats:
   MODEL INPUT_OPERATION OUTPUT_OPERATION OUTPUT_INDEX ROWS COLUMNS <floats >outputs */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensorflow/c/c_api.h"

static void check(TF_Status *status) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s\n", TF_Message(status));
  exit(1);
}

int main(int argc, char **argv) {
  if (argc != 7) return 2;
  int64_t shape[2] = {atoll(argv[5]), atoll(argv[6])};
  size_t bytes = sizeof(float) * shape[0] * shape[1];
  const char *tags[] = {"serve"};
  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session =
      TF_LoadSessionFromSavedModel(options, NULL, argv[1], tags, 1, graph, NULL, status);
  check(status);
  TF_Tensor *x = TF_AllocateTensor(TF_FLOAT, shape, 2, bytes), *codes = NULL;
  if (fread(TF_TensorData(x), 1, bytes, stdin) != bytes) return 3;
  TF_Output input = {TF_GraphOperationByName(graph, argv[2]), 0};
  TF_Output output = {TF_GraphOperationByName(graph, argv[3]), atoi(argv[4])};
  if (!input.oper || !output.oper) return 4;
  TF_SessionRun(session, NULL, &input, &x, 1, &output, &codes, 1, NULL, 0, NULL, status);
  check(status);
  fwrite(TF_TensorData(codes), 1, TF_TensorByteSize(codes), stdout);
  return 0;
}
