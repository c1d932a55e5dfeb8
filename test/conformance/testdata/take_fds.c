/* A client on libsystemd's sd-varlink: take_fds SOCKET COUNT */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <systemd/sd-json.h>
#include <systemd/sd-varlink.h>

static void check(int r, const char *what) {
        if (r < 0) {
                fprintf(stderr, "%s: %s\n", what, strerror(-r));
                exit(1);
        }
}

static void counters(sd_varlink *link, int n) {
        sd_json_variant *reply, *indexes;
        const char *error;

        check(sd_varlink_callbo(link, "org.example.conformance.Open", &reply, &error,
                                SD_JSON_BUILD_PAIR_INTEGER("n", n)), "Open");
        if (error) {
                fprintf(stderr, "Open: %s\n", error);
                exit(1);
        }
        indexes = sd_json_variant_by_key(reply, "indexes");
        printf("counters:");
        for (size_t i = 0; i < sd_json_variant_elements(indexes); i++) {
                uint64_t count;
                int fd = sd_varlink_take_fd(link, sd_json_variant_integer(sd_json_variant_by_index(indexes, i)));
                check(fd, "take_fd");
                if (read(fd, &count, sizeof count) != sizeof count)
                        exit(1);
                printf(" %u", (unsigned) count);
                close(fd);
        }
        printf("\n");
}

int main(int argc, char **argv) {
        sd_varlink *link;
        sd_json_variant *reply;
        const char *error;

        if (argc != 3)
                return 2;
        check(sd_varlink_connect_address(&link, argv[1]), "connect");
        check(sd_varlink_set_allow_fd_passing_input(link, 1), "allow descriptors");

        check(sd_varlink_call(link, "org.example.conformance.Refuse", NULL, &reply, &error), "Refuse");
        printf("refused: %s %d\n", error, (int) sd_json_variant_integer(sd_json_variant_by_key(reply, "code")));

        counters(link, atoi(argv[2]));
        counters(link, 1);
        sd_varlink_unref(link);
        return 0;
}
