/* What the C++ library does with memory and threads: exceptions, condition variables, streams, a storm of new
 * and delete. */
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <fstream>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <new>
#include <shared_mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace
{

constexpr int threads = 4;

/* Counts how many are left when an exception passes. */
struct Counted {
    int &count;
    ~Counted()
    {
        count++;
    }
};

void throw_from(int depth, int &left)
{
    Counted counted{left};
    if (depth == 0) {
        throw std::runtime_error("thrown at the bottom");
    }
    throw_from(depth - 1, left);
}

void exceptions()
{
    int left = 0;
    try {
        throw_from(1000, left);
    } catch (const std::exception &exception) {
        std::cout << exception.what() << " after " << left << " destructors" << std::endl;
    }
    try {
        std::vector<int>().at(1);
    } catch (const std::out_of_range &) {
        std::cout << "out of range" << std::endl;
    }
    volatile std::size_t huge = ~std::size_t{0} >> 2;
    try {
        std::unique_ptr<char[]> never(new char[huge]);
        std::cout << "there is memory without end: " << static_cast<void *>(never.get()) << std::endl;
    } catch (const std::bad_alloc &exception) {
        std::cout << exception.what() << std::endl;
    }
    auto later =
        std::async(std::launch::async, []() -> int { throw std::string("thrown in another thread"); });
    try {
        later.get();
    } catch (const std::string &text) {
        std::cout << text << std::endl;
    }
}

void all(const std::function<void(int)> &body)
{
    std::vector<std::thread> running;
    for (int number = 0; number < threads; number++) {
        running.emplace_back(body, number);
    }
    for (auto &thread : running) {
        thread.join();
    }
}

void queue()
{
    std::mutex mutex;
    std::condition_variable filled;
    std::vector<int> numbers;
    bool done = false;
    long sum = 0;
    std::thread consumer([&] {
        std::unique_lock<std::mutex> lock(mutex);
        while (!done || !numbers.empty()) {
            filled.wait(lock, [&] { return done || !numbers.empty(); });
            while (!numbers.empty()) {
                sum += numbers.back();
                numbers.pop_back();
            }
        }
    });
    all([&](int number) {
        for (int i = 0; i < 1000; i++) {
            std::lock_guard<std::mutex> lock(mutex);
            numbers.push_back(i + number);
            filled.notify_one();
        }
    });
    {
        std::lock_guard<std::mutex> lock(mutex);
        done = true;
    }
    filled.notify_all();
    consumer.join();
    std::cout << "consumed " << sum << std::endl;
}

void storm()
{
    std::atomic<long> bytes{0};
    std::atomic<int> wrong{0};
    all([&](int number) {
        std::vector<std::vector<unsigned char>> kept(256);
        unsigned seed = static_cast<unsigned>(number) + 1;
        for (int i = 0; i < 10000; i++) {
            seed = seed * 1103515245 + 12345;
            unsigned place = seed >> 8 & 255;
            wrong += !kept[place].empty() && (kept[place].front() != place || kept[place].back() != place);
            kept[place] =
                std::vector<unsigned char>((seed >> 16) % 8192 + 1, static_cast<unsigned char>(place));
            bytes += static_cast<long>(kept[place].size());
        }
    });
    std::cout << "allocated " << bytes << ", wrong " << wrong << std::endl;
}

void shared()
{
    std::shared_mutex mutex;
    std::map<std::string, int> map;
    std::once_flag once;
    all([&](int number) {
        std::call_once(once, [&] { map["once"]++; });
        for (int i = 0; i < 100; i++) {
            {
                std::unique_lock<std::shared_mutex> lock(mutex);
                map["key " + std::to_string((i * threads + number) % 10)]++;
            }
            std::shared_lock<std::shared_mutex> lock(mutex);
            if (map.find("once") == map.end()) {
                std::cout << "lost" << std::endl;
            }
        }
    });
    for (const auto &[key, count] : map) {
        std::cout << key << ": " << count << std::endl;
    }
}

void streams()
{
    std::ostringstream text;
    text << 1.5 << ' ' << std::hex << 255 << ' ' << std::boolalpha << true;
    std::cout << text.str() << std::endl;
    const char *name = "cplusplus.tmp";
    std::ofstream(name) << "one\ntwo\nthree\n";
    std::ifstream file(name);
    int lines = 0;
    for (std::string line; std::getline(file, line);) {
        lines++;
    }
    file.close();
    std::cout << lines << " lines, " << (std::remove(name) == 0 ? "removed" : "kept") << std::endl;
    thread_local int own = 1;
    std::thread([] { own = 2; }).join();
    std::cout << "own " << own << std::endl;
}

} // namespace

int main()
{
    exceptions();
    queue();
    storm();
    shared();
    streams();
    return 3;
}
