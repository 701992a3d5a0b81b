import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import java.io.BufferedWriter;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.hl7.fhir.r5.elementmodel.Element;
import org.hl7.fhir.r5.elementmodel.Manager;
import org.hl7.fhir.r5.elementmodel.Manager.FhirFormat;
import org.hl7.fhir.r5.model.CanonicalResource;
import org.hl7.fhir.r5.utils.validation.IResourceValidator;
import org.hl7.fhir.r5.utils.validation.IValidatorResourceFetcher;
import org.hl7.fhir.r5.utils.validation.constants.ReferenceValidationPolicy;
import org.hl7.fhir.utilities.FhirPublication;
import org.hl7.fhir.utilities.http.ManagedWebAccess;
import org.hl7.fhir.utilities.settings.FhirSettings;
import org.hl7.fhir.utilities.validation.ValidationMessage;
import org.hl7.fhir.validation.IgLoader;
import org.hl7.fhir.validation.ValidationEngine;
import org.hl7.fhir.validation.instance.InstanceValidator;
import org.hl7.fhir.validation.instance.advisor.BasePolicyAdvisorForFullValidation;

/**
 * The official HL7 validator over many resources, offline: each guide version is loaded once, in an engine of its own, and each
 * resource is validated against the profiles in its meta.profile.
 *
 * Usage: Validate FOLDER THREADS, in a JVM whose user.home has the packages (.fhir/packages). FOLDER holds
 *   guides.tsv    guide TAB package#version TAB ...      in the order in which they are loaded
 *   records.tsv   Type/id TAB JSON                       what references may point to
 *   GUIDE.tsv     name TAB JSON                          what is validated with that guide
 * and receives GUIDE.ndjson: one object for each message, and one, without a severity, for each resource validated.
 */
public final class Validate {
  private static final int ELEMENTS_KEPT = 4000;
  private static final int RESOURCES_A_VALIDATOR = 400; // it keeps what it has seen, and a new one is not free

  public static void main(String[] arguments) throws Exception {
    Locale.setDefault(Locale.US);
    FhirSettings.setProhibitNetworkAccess(true);
    ManagedWebAccess.setAccessPolicy(ManagedWebAccess.WebAccessPolicy.PROHIBITED);
    Path folder = Path.of(arguments[0]);
    Map<String, String> records = new HashMap<>();
    for (String line : Files.readAllLines(folder.resolve("records.tsv"))) {
      String[] columns = line.split("\t", 2);
      records.put(columns[0], columns[1]);
    }
    ExecutorService threads = Executors.newFixedThreadPool(Integer.parseInt(arguments[1]));
    List<Future<?>> running = new ArrayList<>();
    for (String line : Files.readAllLines(folder.resolve("guides.tsv"))) {
      String[] columns = line.split("\t");
      Callable<Void> work = () -> {
        validateAll(folder, columns[0], Arrays.asList(columns).subList(1, columns.length), records);
        return null;
      };
      running.add(threads.submit(work));
    }
    threads.shutdown();
    for (Future<?> one : running) {
      one.get();
    }
    System.exit(0);
  }

  private static void validateAll(Path folder, String guide, List<String> packages, Map<String, String> records)
      throws Exception {
    long begin = System.nanoTime();
    ValidationEngine engine = new ValidationEngine.ValidationEngineBuilder()
        .withVersion("4.0.1").withNoTerminologyServer().withCanRunWithoutTerminologyServer(true).withTHO(false)
        .fromSource("hl7.fhir.r4.core#4.0.1");
    engine.connectToTSServer(null, null, FhirPublication.R4, false);
    for (String name : packages) {
      engine.getIgLoader().loadIg(engine.getIgs(), engine.getBinaries(), name, true);
    }
    engine.setAnyExtensionsAllowed(false);
    engine.setAllowExampleUrls(true); // the payer's own systems are under .example, as they should be
    engine.setShowMessageIds(true);
    engine.prepare();
    Fetcher fetcher = new Fetcher(engine, records);
    long loaded = System.nanoTime();
    int count = 0;
    Gson gson = new GsonBuilder().disableHtmlEscaping().create();
    InstanceValidator validator = null;
    try (BufferedWriter output = Files.newBufferedWriter(folder.resolve(guide + ".ndjson"))) {
      for (String line : Files.readAllLines(folder.resolve(guide + ".tsv"))) {
        if (count % RESOURCES_A_VALIDATOR == 0) {
          validator = newValidator(engine, fetcher);
        }
        String[] columns = line.split("\t", 2);
        for (ValidationMessage message : validate(validator, columns[1])) {
          write(output, gson, columns[0], message);
        }
        JsonObject done = new JsonObject();
        done.addProperty("name", columns[0]);
        output.write(gson.toJson(done));
        output.newLine();
        count++;
      }
    }
    System.out.printf("%s: loaded in %d s, %d resources validated in %d s%n", guide, (loaded - begin) / 1_000_000_000L, count,
        (System.nanoTime() - loaded) / 1_000_000_000L);
  }

  private static InstanceValidator newValidator(ValidationEngine engine, Fetcher fetcher) throws IOException {
    InstanceValidator validator = engine.getValidator(FhirFormat.JSON);
    validator.setFetcher(fetcher);
    validator.setPolicyAdvisor(new BasePolicyAdvisorForFullValidation(ReferenceValidationPolicy.CHECK_EXISTS_AND_TYPE));
    validator.setAssumeValidRestReferences(true);
    validator.setErrorForUnknownProfiles(true);
    validator.setLogProgress(false);
    return validator;
  }

  private static List<ValidationMessage> validate(InstanceValidator validator, String json) throws IOException {
    List<ValidationMessage> messages = new ArrayList<>();
    validator.validate(null, messages, new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), FhirFormat.JSON);
    return messages;
  }

  private static void write(BufferedWriter output, Gson gson, String name, ValidationMessage message) throws IOException {
    JsonObject row = new JsonObject();
    row.addProperty("name", name);
    row.addProperty("severity", message.getLevel().toCode());
    row.addProperty("path", message.getLocation());
    row.addProperty("id", message.getMessageId());
    row.addProperty("text", message.getMessage());
    output.write(gson.toJson(row));
    output.newLine();
  }

  /** Finds what a relative reference points to among the records, and nothing on any network. */
  private static final class Fetcher implements IValidatorResourceFetcher {
    private final ValidationEngine engine;
    private final Map<String, String> records;
    private final Map<String, Element> parsed = new LinkedHashMap<>(256, 0.75f, true) {
      @Override
      protected boolean removeEldestEntry(Map.Entry<String, Element> eldest) {
        return size() > ELEMENTS_KEPT;
      }
    };

    Fetcher(ValidationEngine engine, Map<String, String> records) {
      this.engine = engine;
      this.records = records;
    }

    @Override
    public Element fetch(IResourceValidator validator, Object context, String url) throws IOException {
      String[] parts = url.split("/");
      String key = parts.length < 2 ? url : parts[parts.length - 2] + "/" + parts[parts.length - 1];
      String json = records.get(key);
      if (json == null) {
        return null;
      }
      Element found = parsed.get(key);
      if (found == null) {
        found = Manager.parseSingle(
            engine.getContext(), new ByteArrayInputStream(json.getBytes(StandardCharsets.UTF_8)), FhirFormat.JSON);
        parsed.put(key, found);
      }
      return found;
    }

    @Override
    public boolean resolveURL(
        IResourceValidator validator, Object context, String path, String url, String type, boolean canonical) {
      return true; // a system or a canonical that no package knows is reported where its content is needed
    }

    @Override
    public byte[] fetchRaw(IResourceValidator validator, String url) {
      return null;
    }

    @Override
    public IValidatorResourceFetcher setLocale(Locale locale) {
      return this;
    }

    @Override
    public CanonicalResource fetchCanonicalResource(IResourceValidator validator, Object context, String url) {
      return null;
    }

    @Override
    public boolean fetchesCanonicalResource(IResourceValidator validator, String url) {
      return false;
    }

    @Override
    public Set<String> fetchCanonicalResourceVersions(IResourceValidator validator, Object context, String url) {
      return Collections.emptySet();
    }
  }
}
