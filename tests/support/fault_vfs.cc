#include "tests/support/fault_vfs.h"

#include <sqlite3.h>

#include <cerrno>
#include <new>

namespace test {

struct FaultVfs::State {
  sqlite3_vfs vfs{};
  sqlite3_vfs* real = nullptr;
  sqlite3_io_methods methods{};
  bool is_armed = false;
  Fault fault;
  int calls = 0;
  int fired = 0;
  std::string first;

  // Whether this call fails, and with what: SQLITE_OK if it does not.
  int fails(const char* call, int io_code) {
    if (!is_armed || ++calls < fault.nth || (calls > fault.nth && !fault.for_ever)) return SQLITE_OK;
    if (fired++ == 0) first = call;
    const bool is_write = io_code == SQLITE_IOERR_WRITE;
    switch (fault.kind) {
      case Kind::Full:
      case Kind::ShortWrite:
        errno = ENOSPC;
        return is_write ? SQLITE_FULL : io_code;  // unix says Full of a write only, and leaves the rest to errno
      case Kind::Quota: errno = EDQUOT; return io_code;
      case Kind::Io: errno = EIO; return io_code;
    }
    return io_code;
  }
};

namespace {

FaultVfs::State* the_state = nullptr;  // C callbacks find it here; one FaultVfs lives at a time

// Ours, and behind it the real one, of the size that its VFS asks for.
struct File {
  sqlite3_file base;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};
sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<File*>(file)->real(); }

int close(sqlite3_file* file) { return real(file)->pMethods->xClose(real(file)); }
int read(sqlite3_file* file, void* data, int size, sqlite3_int64 at) { return real(file)->pMethods->xRead(real(file), data, size, at); }
int write(sqlite3_file* file, const void* data, int size, sqlite3_int64 at) {
  const int code = the_state->fails("write", SQLITE_IOERR_WRITE);
  if (code == SQLITE_OK) return real(file)->pMethods->xWrite(real(file), data, size, at);
  if (the_state->fault.kind == FaultVfs::Kind::ShortWrite) {
    real(file)->pMethods->xWrite(real(file), data, size / 2, at);
    errno = ENOSPC;
  }
  return code;
}
int truncate(sqlite3_file* file, sqlite3_int64 size) {
  const int code = the_state->fails("truncate", SQLITE_IOERR_TRUNCATE);
  return code != SQLITE_OK ? code : real(file)->pMethods->xTruncate(real(file), size);
}
int sync(sqlite3_file*, int) {
  return the_state->fails("sync", SQLITE_IOERR_FSYNC);  // no power fails here: what was written need not be forced to a disk
}
int size(sqlite3_file* file, sqlite3_int64* size) { return real(file)->pMethods->xFileSize(real(file), size); }
int lock(sqlite3_file* file, int level) { return real(file)->pMethods->xLock(real(file), level); }
int unlock(sqlite3_file* file, int level) { return real(file)->pMethods->xUnlock(real(file), level); }
int is_reserved(sqlite3_file* file, int* out) { return real(file)->pMethods->xCheckReservedLock(real(file), out); }
int control(sqlite3_file* file, int op, void* argument) { return real(file)->pMethods->xFileControl(real(file), op, argument); }
int sector_size(sqlite3_file* file) { return real(file)->pMethods->xSectorSize(real(file)); }
int characteristics(sqlite3_file* file) { return real(file)->pMethods->xDeviceCharacteristics(real(file)); }
int shm_map(sqlite3_file* file, int page, int page_size, int extend, void volatile** memory) {
  if (extend != 0) {  // to look at what is there takes no room
    if (const int code = the_state->fails("map", SQLITE_IOERR_SHMSIZE); code != SQLITE_OK) return code;
  }
  return real(file)->pMethods->xShmMap(real(file), page, page_size, extend, memory);
}
int shm_lock(sqlite3_file* file, int offset, int n, int flags) { return real(file)->pMethods->xShmLock(real(file), offset, n, flags); }
void shm_barrier(sqlite3_file* file) { real(file)->pMethods->xShmBarrier(real(file)); }
int shm_unmap(sqlite3_file* file, int deletes) { return real(file)->pMethods->xShmUnmap(real(file), deletes); }

int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out_flags) {
  file->pMethods = nullptr;
  if (const int code = the_state->fails("open", SQLITE_CANTOPEN); code != SQLITE_OK) return code;
  const int code = the_state->real->xOpen(the_state->real, name, real(file), flags, out_flags);
  if (code == SQLITE_OK) file->pMethods = &the_state->methods;
  else if (real(file)->pMethods != nullptr) real(file)->pMethods->xClose(real(file));
  return code;
}

}  // namespace

FaultVfs::FaultVfs() : state_(std::make_unique<State>()) {
  the_state = state_.get();
  state_->real = sqlite3_vfs_find(nullptr);
  state_->methods = {2,          close,   read,   write,       truncate, sync,        size,            lock,    unlock,   is_reserved,
                     control,    sector_size, characteristics, shm_map,  shm_lock,    shm_barrier,     shm_unmap, nullptr, nullptr};
  state_->vfs = *state_->real;  // what it does without a file is done by the same functions
  state_->vfs.zName = "faults";
  state_->vfs.szOsFile = state_->real->szOsFile + static_cast<int>(sizeof(File));
  state_->vfs.xOpen = open;
  sqlite3_vfs_register(&state_->vfs, 1);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&state_->vfs);
  sqlite3_vfs_register(state_->real, 1);
}

void FaultVfs::arm(const Fault& fault) {
  state_->fault = fault;
  state_->calls = state_->fired = 0;
  state_->first.clear();
  state_->is_armed = true;
}

void FaultVfs::heal() { state_->is_armed = false; }

int FaultVfs::fired() const { return state_->fired; }

const std::string& FaultVfs::first() const { return state_->first; }

}  // namespace test
